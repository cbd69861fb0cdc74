"""Ray's worker processes: the functions that they begin with, named as Ray takes them."""

from __future__ import annotations

from typing import Final

from headrace.rooms.folder import open_rooms
from headrace.services.processes.priority import yield_to_requests

REQUESTS: Final = "headrace.rooms.folder.open_rooms"  # of what answers requests
BACKGROUND: Final = "headrace.services.processes.ray_worker.begin_in_background"


def begin_in_background() -> None:
    """What the workers of trainers, streams and backfills begin with."""
    open_rooms()
    yield_to_requests()
