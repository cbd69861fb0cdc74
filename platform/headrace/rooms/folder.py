"""The folder of the rooms: that of an installed wheel, or the checkout around the core."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from headrace.errors import ConfigError

OPEN_ROOMS: Final = "headrace.rooms.folder.open_rooms"  # as Ray's workers begin with it
_HERE = Path(__file__).resolve().parent
FOLDERS = (_HERE, _HERE.parents[2])  # of a wheel, of a checkout


def room_path(room: str) -> Path:
    """The folder of a room, such as `feature_repo`; raises `ConfigError` if it is not there."""
    for folder in FOLDERS:
        if (folder / room).is_dir():
            return folder / room
    raise ConfigError(
        f"no folder {room}/ in {FOLDERS[0]} or {FOLDERS[1]}: install headrace from its wheel, or "
        "from a whole checkout of the repository"
    )


def open_rooms() -> None:
    """Let this process import the rooms, before all else of their names.

    Each process that runs a room begins with it: `python -m headrace.rooms`, and Ray's workers,
    on whichever machine (`headrace.services.processes.ray_worker`).
    """
    folder = str(room_path("serving").parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
