"""Ray's worker processes: a function that they begin with, named as Ray takes it."""

from __future__ import annotations

from typing import Final

from headrace.rooms.folder import open_rooms
from headrace.services.processes.priority import yield_to_requests

BACKGROUND: Final = "headrace.services.processes.ray_worker.begin_in_background"


def begin_in_background() -> None:
    """What the workers of backfills and encoders begin with."""
    open_rooms()
    yield_to_requests()
