"""Intake: records of the event log as events, or as the reasons why they are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from headrace.broker import Record
from headrace.errors import InvalidEvent
from headrace.event import Event, decode_batch


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A record and what it says: an event, or why it is none."""

    record: Record
    event: Event | InvalidEvent


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was not accepted: the original bytes and why."""

    record: Record
    reason: str
    field: str


def decode_records(records: Sequence[Record], now_ms: int) -> list[Decoded]:
    """What each record says; nothing is raised, a bad one carries its error."""
    events = decode_batch([record.value for record in records], now_ms)
    return [Decoded(record, event) for record, event in zip(records, events, strict=True)]


def valid_events(decoded: Iterable[Decoded]) -> list[tuple[Record, Event]]:
    """The records that are events, in order."""
    return [(d.record, d.event) for d in decoded if not isinstance(d.event, InvalidEvent)]


def dead_letters(decoded: Iterable[Decoded]) -> list[DeadLetter]:
    """The records that are none."""
    return [
        DeadLetter(d.record, _lost(d.record) or str(d.event), d.event.field)
        for d in decoded
        if isinstance(d.event, InvalidEvent)
    ]


def _lost(record: Record) -> str:
    """What is said of a batch that is damaged."""
    num = record.num_lost
    return f"a damaged batch: {num:,} messages up to here cannot be read" if num else ""
