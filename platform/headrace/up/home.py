"""The home of a run: who uses it, and whether its disk has space."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from headrace.application.document import FEATURES_FILE, FILE, path_of
from headrace.config import Settings
from headrace.errors import ConfigError

LOCK: Final = ".up.lock"
MIN_START_BYTES: Final = 64 << 20  # catalogue, topics, versions and checkpoints of a small log
MIN_BYTES: Final = 32 << 20  # below it a checkpoint or a version may find no space

FreeBytes = Callable[[Path], int]


def free_bytes(home: Path) -> int:
    """The free bytes on the disk of a folder, also of one that is not there."""
    there = next(path for path in (home, *home.parents) if path.exists())
    return shutil.disk_usage(there).free


def lock_home(home: Path) -> IO[str]:
    """The lock of a home, held until closed; raises `ConfigError` where another run has it."""
    file = (home / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        pid = file.read().strip() or "unknown"
        file.close()
        raise ConfigError(
            f"another headrace up (process {pid}) uses HEADRACE_HOME={str(home)!r}: stop it, or "
            "name another home; without HEADRACE_HOME each run has its own"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def require_space(home: Path, free: FreeBytes = free_bytes) -> None:
    """Raises `ConfigError` where the disk of a home is too full to begin."""
    num_bytes = free(home)
    if num_bytes < MIN_START_BYTES:
        raise ConfigError(
            f"{full_disk(home, num_bytes)} (expected {MIN_START_BYTES >> 20} MB at the start)"
        )


def keep_application(settings: Settings) -> str:
    """The path of a copy of the application file in the home, its features beside it; empty where
    there is none.

    A part that starts again an hour later must have the actions and features of the others,
    whatever has become of the files by then.
    """
    copy, features = settings.home_path / FILE, settings.home_path / FEATURES_FILE
    path = path_of(settings.app) if settings.app else None
    if path == copy:
        return str(copy)
    copy.unlink(missing_ok=True)  # of an earlier run
    features.unlink(missing_ok=True)
    if path is None:
        return ""
    shutil.copyfile(path, copy)
    if (path.parent / FEATURES_FILE).is_file():
        shutil.copyfile(path.parent / FEATURES_FILE, features)
    return str(copy)


def full_disk(home: Path, num_bytes: int) -> str:
    """The error text of a full disk, with the remedy."""
    return (
        f"the disk of HEADRACE_HOME={str(home)!r} is full, {num_bytes / (1 << 20):.1f} MB are left:"
        " free some space, or name another home"
    )
