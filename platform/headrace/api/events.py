"""Behaviour that clients post, and the answer to it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from headrace.event import Event

MAX_EVENTS: Final = 1_000  # in one POST
FILLED: Final = ("event_id", "event_time_ms")  # made by the replica where a client leaves them out

Posted = Event | Annotated[tuple[Event, ...], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]


class Taken(msgspec.Struct, frozen=True):
    """The answer to posted events: all of them are in the log."""

    accepted: int
    event_ids: tuple[str, ...]  # in the order of the events
