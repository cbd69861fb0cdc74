"""The application of a command: the file that counts, checked as a whole, and taken.

The first that is there counts: --app, the application of the running platform that the command
works on, HEADRACE_APP, the headrace.yaml of --data where it has sections beside the mapping of
columns. Files are never mixed; but a folder's own mapping describes its files.

What is made of the actions is made when modules are imported. So a command that was imported with
another application than its own starts again, as the same process.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from headrace import config
from headrace.application import document
from headrace.application.current import APPLICATION
from headrace.application.sections import OWN, read_sections
from headrace.commands.running import find, looks_at_platform
from headrace.datasets.table.mapping import problems_of
from headrace.errors import ConfigError
from headrace.features.definitions.files import load, own_file
from headrace.settings.variables import variable
from headrace.up.run_file import RunFile


def take_application(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Check the application of a command, and start it again where this process has another one;
    raises `ConfigError` with everything that is wrong with the file."""
    if not hasattr(options, "app"):
        return
    path = application_of(options)
    if path:
        check(Path(path))
    for line in _not_read(options, path):
        print(f"headrace {options.command}: {line}", file=sys.stderr, flush=True)
    if path != APPLICATION.path:
        config.export_app(path)
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "headrace.cli", *arguments])


def check(path: Path) -> None:
    """Raises `ConfigError` with everything that is wrong with an application file, or else with the
    features beside it."""
    sections = document.read(path)
    application, problems = read_sections(sections, str(path))
    if application.mapping:
        problems += problems_of(sections, [row.name for row in application.actions])
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    load(own_file(str(path)), application)


def application_of(options: argparse.Namespace) -> str:
    """The absolute path of the application file of a command; empty where there is none."""
    named = str(document.path_of(options.app)) if options.app else ""
    looks = looks_at_platform(options) or getattr(options, "model_version", None) is not None
    run = find(getattr(options, "platform", None)) if looks else None
    if run is not None:
        return _of_platform(run, named)
    if named:
        return named
    if given := config.given().get(variable("app")):
        return str(document.path_of(given))
    folder: Path | None = getattr(options, "data", None)
    path = document.path_of(folder) if folder else None
    return str(path) if path and path.is_file() and _own_sections(path) else ""


def _of_platform(run: RunFile, named: str) -> str:
    """The application of a running platform; raises `ConfigError` where another one is named."""
    its = run.variables.get(variable("app"), "")
    if named and not (its and _same(Path(named), Path(its))):
        raise ConfigError(
            f"--app {named}: the running platform {run.names[0]} has "
            f"{its or 'the default application'}: leave --app out, or start one with this file"
        )
    return its


def _not_read(options: argparse.Namespace, path: str) -> list[str]:
    """A note on sections in the folder of --data that have no effect."""
    folder: Path | None = getattr(options, "data", None)
    other = document.path_of(folder) if folder else None
    if other is None or not other.is_file() or (path and _same(other, Path(path))):
        return []
    names = ", ".join(_own_sections(other))
    whose = path or "the default one of the running platform"
    return [f"{other}: {names} have no effect: the application is {whose}"] if names else []


def _own_sections(path: Path) -> list[str]:
    """The sections of a file beside the mapping of columns."""
    return [name for name in document.read(path) if name in OWN]


def _same(one: Path, other: Path) -> bool:
    """Whether two application files say the same, and the features beside them."""
    return one == other or _texts(one) == _texts(other)


def _texts(path: Path) -> tuple[bytes, bytes]:
    features = own_file(str(path))
    return path.read_bytes(), features.read_bytes() if features else b""
