"""Behaviour that clients post, as events: all of a body, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headrace.api.events import MAX_EVENTS
from headrace.errors import InvalidEvent
from headrace.event import (
    MAX_AHEAD_MS,
    MAX_EVENT_BYTES,
    Event,
    ImpressionEvent,
    accept,
    encode,
)
from serving.http.body import Body
from serving.posted.parts import parts_of

MAX_SHOWN: Final = 20_000  # items in its impressions, all together


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event and the message that it is in the log."""

    event: Event
    message: bytes


def read_events(body: Body, now_ms: int, max_ahead_ms: int = MAX_AHEAD_MS) -> list[Accepted]:
    """The events of a POST body, each as it fits into the log; raises `InvalidEvent` naming the
    first event and field at fault."""
    events: list[Accepted] = []
    num_shown = 0
    for name, document in parts_of(body, MAX_EVENTS, "events", InvalidEvent):
        try:
            event = accept(document, now_ms, max_ahead_ms)
            events.append(Accepted(event, _fitting(event)))
        except InvalidEvent as error:
            field = f"{name}.{error.field}" if name else error.field
            raise InvalidEvent(str(error), field) from None
        num_shown += len(event.items) if isinstance(event, ImpressionEvent) else 0
        if num_shown > MAX_SHOWN:
            reason = f"one request may show {MAX_SHOWN:,} items, these are more: send several"
            raise InvalidEvent(reason, f"{name}.items" if name else "items")
    return events


def _fitting(event: Event) -> bytes:
    message = encode(event)
    if len(message) > MAX_EVENT_BYTES:
        reason = f"an event has at most {MAX_EVENT_BYTES:,} bytes, this has {len(message):,}"
        raise InvalidEvent(reason, "items" if isinstance(event, ImpressionEvent) else "$")
    return message
