"""Intake: records of the event log as events, or as the reasons why they are none.

Here it is decided, once, when each record arrived and which time its event counts at: nothing that
comes after reads a time that lies ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from headrace.broker.record import Record
from headrace.config import Settings
from headrace.epoch import EARLIEST_MS, MAX_SKEW_MS, arrival_ms, record_time_ms
from headrace.errors import InvalidEvent
from headrace.event import MAX_AHEAD_MS, Event, ImpressionEvent, decode_batch
from headrace.features.serving_key import ServingKey

AHEAD: Final = "ahead"  # names of the counts in a `Commit`
UNSIGNED: Final = "unsigned"


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A decoded record: its event, or the error in place of one. `corrected` has the corrections,
    each by the name of its count, with the reason."""

    record: Record
    event: Event | InvalidEvent
    corrected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was not accepted: the original bytes and why."""

    record: Record
    reason: str
    field: str


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """How far ahead of its arrival an event's time may lie, and whose served features are taken:
    nobody's without a key."""

    max_ahead_ms: int = MAX_AHEAD_MS
    key: ServingKey | None = None

    @classmethod
    def of(cls, settings: Settings, key: ServingKey | None = None) -> IntakeRules:
        """The rules from the platform's settings."""
        return cls(int(settings.stream.max_ahead_s * 1_000), key)


def decode_records(
    records: Sequence[Record], now_ms: int, rules: IntakeRules | None = None
) -> list[Decoded]:
    """Decode records into events; nothing is raised, a bad record carries its error.

    An event is refused for its time by the log alone, so that a reader with a slow clock loses
    none; one that is taken never counts at a time after its arrival.
    """
    rules = rules or IntakeRules()
    arrived = arrived_records(records, now_ms)
    stamped_ms = [record.arrival_ms for record in records]
    if arrived is not records:
        stamped_ms = [record_time_ms(timestamp, now_ms) for timestamp in stamped_ms]
    payloads = [record.value for record in records]
    events = decode_batch(payloads, stamped_ms, rules.max_ahead_ms)
    decoded = [Decoded(record, event) for record, event in zip(arrived, events, strict=True)]
    for place in _to_correct(decoded, stamped_ms):
        decoded[place] = _corrected(decoded[place], stamped_ms[place], rules)
    return decoded


def arrived_records(records: Sequence[Record], now_ms: int) -> Sequence[Record]:
    """The records with the times at which they arrived; the same list where they tell them."""
    stamps = [record.arrival_ms for record in records]
    if not stamps or (EARLIEST_MS <= min(stamps) and max(stamps) <= now_ms + MAX_SKEW_MS):
        return records
    return [
        msgspec.structs.replace(record, arrival_ms=arrival_ms(stamp, now_ms))
        for record, stamp in zip(records, stamps, strict=True)
    ]


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


def _to_correct(decoded: Sequence[Decoded], stamped_ms: Sequence[int]) -> Iterator[int]:
    """Which events have a time ahead, a record that has one, or served features."""
    for place, (one, stamp_ms) in enumerate(zip(decoded, stamped_ms, strict=True)):
        event, arrived_ms = one.event, one.record.arrival_ms
        if not isinstance(event, InvalidEvent) and (
            event.event_time_ms > arrived_ms
            or stamp_ms > arrived_ms
            or (type(event) is ImpressionEvent and event.served is not None)
        ):
            yield place


def _corrected(decoded: Decoded, stamp_ms: int, rules: IntakeRules) -> Decoded:
    """The event corrected, with the name and the reason of each correction."""
    record, event, corrected = decoded.record, decoded.event, []
    assert not isinstance(event, InvalidEvent)
    if stamp_ms > record.arrival_ms:
        seconds = (stamp_ms - record.arrival_ms) / 1_000
        reason = f"its record's time {stamp_ms} lies {seconds:.1f} s ahead of this reader's clock"
        corrected.append((AHEAD, f"{reason}: set that clock, or the one of the record's producer"))
    elif event.event_time_ms > record.arrival_ms:
        seconds = (event.event_time_ms - record.arrival_ms) / 1_000
        reason = f"event_time_ms {event.event_time_ms} lies {seconds:.1f} s ahead of its arrival at"
        corrected.append((AHEAD, f"{reason} {record.arrival_ms}: the sender's clock is fast"))
    event_time_ms = min(event.event_time_ms, record.arrival_ms)
    event = msgspec.structs.replace(event, event_time_ms=event_time_ms)
    if isinstance(event, ImpressionEvent) and event.served is not None:
        if rules.key is None or not rules.key.has_signed(event):
            event = msgspec.structs.replace(event, served=None)
            reason = "the served features are not signed by a replica of this namespace"
            corrected.append((UNSIGNED, f"{reason}: the stream's own are used"))
    return Decoded(record, event, tuple(corrected))


def _lost(record: Record) -> str:
    """The error text of a damaged batch, empty for any other record."""
    num = record.num_lost
    return f"a damaged batch: {num:,} messages up to here cannot be read" if num else ""
