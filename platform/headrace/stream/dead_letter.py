"""Dead letters: events that were not accepted, with the reason, as messages that always fit.

A letter's value is what lay in the log, cut where it is too long; its headers say why it is no
event, which field is at fault, where the original lies, how long it is and its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import sha256
from typing import Final

import msgspec

from headrace.broker.kafka_records import FetchedWithHeaders
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import Headers
from headrace.config import Settings
from headrace.errors import ConfigError, InvalidEvent
from headrace.event import MAX_EVENT_BYTES, Event, decode, encode
from headrace.skipped import shortened
from headrace.stream.step.intake import DeadLetter

MAX_REASON: Final = 1_000  # characters
MAX_FIELD: Final = 300
UNKNOWN: Final = -1


class Letter(msgspec.Struct, frozen=True):
    """A dead letter as stored in its topic; -1 and "" stand for values missing from its headers."""

    offset: int  # of the letter
    arrival_ms: int
    reason: str
    field: str
    topic: str  # of the original
    partition: int
    original_offset: int
    length: int
    sha256: str
    value: bytes  # the original, or its beginning

    @property
    def is_whole(self) -> bool:
        """Whether the value is all of the original."""
        return self.length in (UNKNOWN, len(self.value))

    @property
    def place(self) -> str:
        """Where the original lies."""
        known = self.original_offset != UNKNOWN
        return f"{self.partition}:{self.original_offset}" if known else "unknown"


class LetterReader(LogReader):
    """Reads letters with their headers."""

    fetched = FetchedWithHeaders


def message_of(letter: DeadLetter, topic: str, max_bytes: int) -> tuple[bytes, Headers]:
    """Value and headers of a letter about a record of this topic, of so many bytes of it."""
    value = letter.record.value
    headers = {
        "reason": shortened(letter.reason, MAX_REASON),
        "field": shortened(letter.field, MAX_FIELD),
        "topic": topic,
        "partition": str(letter.record.partition),
        "offset": str(letter.record.offset),
        "length": str(len(value)),
        "sha256": sha256(value).hexdigest(),
    }
    return value[:max_bytes], [(name, text.encode()) for name, text in headers.items()]


def letter_of(record: Record) -> Letter:
    """The letter in a record; whatever it is, nothing is raised."""
    said = {name: value.decode(errors="replace") for name, value in record.headers}
    return Letter(
        offset=record.offset,
        arrival_ms=record.arrival_ms,
        reason=shortened(said.get("reason", "no reason is told"), MAX_REASON),
        field=shortened(said.get("field", ""), MAX_FIELD),
        topic=said.get("topic", ""),
        partition=_number(said.get("partition", "")),
        original_offset=_number(said.get("offset", "")),
        length=_number(said.get("length", "")),
        sha256=shortened(said.get("sha256", "")),
        value=record.value,
    )


def read_letters(settings: Settings) -> Iterator[Letter]:
    """The letters that the topic holds now, in order; of copies, which a crash may leave, the
    first."""
    seen = set()
    topic = Topics(settings.namespace).dead_letters
    with closing(LetterReader(settings, topic, {0: 0})) as reader:
        for records in reader.read_to_end():
            for letter in map(letter_of, records):
                place = (letter.topic, letter.partition, letter.original_offset)
                if letter.original_offset == UNKNOWN or place not in seen:
                    seen.add(place)
                    yield letter


def original_of(letter: Letter, settings: Settings) -> bytes | None:
    """The message that a letter is about, as it lies in the events topic; None where it is gone or
    is another one."""
    if not 0 <= letter.partition < settings.stream.num_partitions or letter.original_offset < 0:
        return None
    start = {letter.partition: letter.original_offset}
    with closing(LogReader(settings, Topics(settings.namespace).events, start)) as reader:
        for records in reader.read_to_end():
            for record in records:
                is_it = record.offset == letter.original_offset and not record.num_lost
                is_same = not letter.sha256 or sha256(record.value).hexdigest() == letter.sha256
                return record.value if is_it and is_same else None
    return None


def events_in(lines: Iterable[bytes], now_ms: int) -> Iterator[tuple[int, Event | InvalidEvent]]:
    """Decode JSON lines: the number of each, from 1, with an event that may be sent or an error.

    An event keeps its id, so that a line which is sent twice counts once. Empty lines say nothing.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = decode(line.strip(), now_ms)
        except InvalidEvent as error:
            yield number, error
            continue
        size = len(encode(event))
        too_large = InvalidEvent(f"{size:,} bytes, at most {MAX_EVENT_BYTES:,}", field="$")
        yield number, too_large if size > MAX_EVENT_BYTES else event


def place_of(text: str) -> tuple[int, int]:
    """The partition and offset in "3:1234"; raises `ConfigError` for anything else."""
    partition, _, offset = text.partition(":")
    if _number(partition) == UNKNOWN or _number(offset) == UNKNOWN:
        raise ConfigError(f"{shortened(text)!r}: expected PARTITION:OFFSET of the event, as 3:1234")
    return _number(partition), _number(offset)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else UNKNOWN
