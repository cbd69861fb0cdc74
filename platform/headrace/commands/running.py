"""The platform that a command works on: the one in the environment, else one that runs here.

If any of the four settings that say where a platform is (Redis, broker, home, namespace) is in the
environment, the environment alone counts. Else the settings are those of the `headrace up` that
this user runs on this machine, and other variables of the environment are laid over them.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Final

from headrace import config
from headrace.commands.flags import add_app_flag
from headrace.errors import ConfigError
from headrace.settings.variables import variable
from headrace.up.run_file import RunFile, RunFolder

PLACES: Final = ("redis_url", "kafka_bootstrap", "home", "namespace")


def add_platform_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that names a running platform; the command takes that one's settings."""
    parser.add_argument(
        "--platform",
        metavar="NAME",
        help="a running headrace up: its namespace or process id (default: the only one)",
    )
    parser.set_defaults(uses_platform=True)
    add_app_flag(parser)


def looks_at_platform(options: argparse.Namespace) -> bool:
    """Whether a command takes the settings of a platform that runs here."""
    return bool(getattr(options, "uses_platform", False))


def settings_for(options: argparse.Namespace) -> config.Settings:
    """The settings of a command. Those of a running platform are said in one line, are put into
    this process's environment, where Feast reads them, and leave its run file in the options.

    Raises `ConfigError` where several run and none is named, or a name fits none.
    """
    if not looks_at_platform(options):
        return config.load()
    options.run_file = run = find(options.platform)
    if run is None:
        return config.load()
    print(f"headrace {options.command}: {_said(run)}", file=sys.stderr, flush=True)
    settings = config.load({**run.variables, **config.given()})
    config.export(settings)
    return settings


def find(name: str | None) -> RunFile | None:
    """The running platform of this name, or the only one; None where the environment says where a
    platform is, or none runs. One that lies where the environment says is that one."""
    running = RunFolder(config.runtime_path()).running()
    given = config.given()
    places = [variable(field) for field in PLACES if variable(field) in given]
    if places and name is None:
        there = [run for run in running if all(run.variables[at] == given[at] for at in places)]
        return there[0] if len(there) == 1 else None
    if places:
        raise ConfigError(
            f"--platform {name} and {', '.join(places)} in the environment: expected one of them; "
            "unset the latter, or leave out --platform"
        )
    found = [run for run in running if name is None or name in run.names]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(map(_described, running)) or "none"
    if name is not None and not found:
        raise ConfigError(f"no platform {name!r} runs here; those of this user: {listed}")
    if found:
        raise ConfigError(f"{len(found)} platforms fit: name one with --platform: {listed}")
    return None


def _said(run: RunFile) -> str:
    return f"using the running platform {_described(run)}"


def _described(run: RunFile) -> str:
    started = datetime.fromtimestamp(run.started_ms / 1_000).astimezone()
    return f"{run.names[0]} (process {run.owner.pid}, {run.http}, since {started:%H:%M:%S})"


def settings_with_flags(options: argparse.Namespace) -> config.Settings:
    """The settings of the command's platform, overridden by flags that several commands share."""
    settings = settings_for(options)
    flags = {name: getattr(options, name, None) for name in ("ranker_size", "fusion")}
    flags["vector_tables"] = getattr(options, "vectors", None)
    given = {name: value for name, value in flags.items() if value}
    return config.changed(settings, **given) if given else settings
