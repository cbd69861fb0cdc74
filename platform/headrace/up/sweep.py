"""The sweep: the remains of a killed `headrace up` are removed at the next start.

A run leaves three kinds of things outside of its home: temporary folders, each with a file that
names its owner; processes, each with its owner in the environment; and a run file. All of them are
told by an owner that runs no more, and only those of this user are touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headrace import config
from headrace.clock import now_ms
from headrace.errors import ConfigError
from headrace.services.processes.owner import MARK, Owner
from headrace.up.run_file import RunFolder

PREFIX: Final = "headrace-up-"
SHORT_PREFIX: Final = "headrace-"  # of a folder for sockets, whose paths must be short
SHORT_PARENT: Final = Path("/tmp")
OWNER_FILE: Final = ".owner"
EMPTY_MS: Final = 600_000  # a folder that has been empty for so long is nobody's


def own_folder(owner: Owner, prefix: str = PREFIX, parent: Path | None = None) -> Path:
    """A new temporary folder that only this user can enter and that names its owner."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        (folder / OWNER_FILE).write_text(str(owner))
    except OSError as error:
        raise ConfigError(
            f"no temporary folder can be made ({error.strerror or error}): expected one of this "
            "user's with space; set TMPDIR, or HEADRACE_HOME to a folder that stays"
        ) from error
    return folder


def sweep() -> list[str]:
    """Removes the remains of dead owners; returns their descriptions, one line each."""
    said = [f"process {pid}" for pid in _kill_orphans()]
    for folder in _stale_folders():
        shutil.rmtree(folder, ignore_errors=True)
        said.append(f"folder {folder}")
    _remove_empty_folders()
    said += [f"run file of {run.id}" for run in RunFolder(config.runtime_path()).sweep()]
    return said


def _stale_folders() -> Iterator[Path]:
    for parent in {SHORT_PARENT, Path(tempfile.gettempdir())}:
        for file in sorted(parent.glob(f"{SHORT_PREFIX}*/{OWNER_FILE}")):
            folder = file.parent
            try:
                is_ours = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
                owner = Owner.parse(file.read_text()) if is_ours else None
            except OSError:
                continue
            if owner is not None and not owner.is_alive:
                yield folder


def _remove_empty_folders() -> None:
    """Takes away the empty folders of sockets that a serving part which was killed has left."""
    for folder in SHORT_PARENT.glob(f"{SHORT_PREFIX}*"):
        try:
            found = folder.lstat()
            if found.st_uid == os.getuid() and now_ms() - found.st_mtime * 1_000 > EMPTY_MS:
                folder.rmdir()  # fails for what is no folder or has something in it
        except OSError:
            continue


def _kill_orphans() -> list[int]:
    """Kills the processes of dead owners, until there are none: one may fork while we look."""
    killed: list[int] = []
    while orphans := [pid for pid in _orphans() if pid not in killed]:
        for pid in orphans:
            killed.append(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
    return killed


def _orphans() -> Iterator[int]:
    mark = f"{MARK}=".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
        except OSError:  # another user's, or it has just ended
            continue
        owners = (
            Owner.parse(variable.removeprefix(mark).decode(errors="replace"))
            for variable in variables
            if variable.startswith(mark)
        )
        if any(owner is not None and not owner.is_alive for owner in owners):
            yield int(path.parent.name)
