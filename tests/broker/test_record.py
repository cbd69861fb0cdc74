"""Records come out of what was fetched as kafka-python's own reader has them."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.util import calc_crc32c

from headrace.broker.kafka_records import FetchedRecords, FetchedWithHeaders
from headrace.broker.record import Record

TOPIC = TopicPartition("topic", 3)
TIME_MS = 1_800_000_000_000
GZIP, LOG_TIME, TRANSACTIONAL, CONTROL = 1, 0x08, 0x10, 0x20
CRC_AT, ATTRIBUTES_AT, LENGTH_AT = 17, 21, 61  # the length of the first record
FRAME_BYTES, LAST_DELTA_AT = 12, 23  # where a batch begins, and how long it is: no check sum
MARKER = [(TIME_MS, struct.pack(">hh", 0, 0), b"", [], 0)]  # version 0, type 0: an abort


class Aborted(NamedTuple):
    """What a fetch says of a transaction that was aborted."""

    producer_id: int
    first_offset: int


bytes_or_none = st.none() | st.binary(max_size=20) | st.binary(min_size=60, max_size=70)
headers = st.lists(st.tuples(st.text(max_size=5), bytes_or_none), max_size=2)
gaps, times_ms = st.integers(0, 100), st.integers(TIME_MS, TIME_MS + 10_000)
messages = st.tuples(times_ms, bytes_or_none, bytes_or_none, headers, gaps)
batches = st.tuples(
    st.lists(messages, min_size=1, max_size=9), st.sampled_from([0, GZIP, LOG_TIME])
)


@given(st.lists(batches, max_size=3), st.integers(0, 400), st.integers(1, 7))
def test_as_kafka_pythons_reader_has_them(batches: list[Any], start: int, step: int) -> None:
    data = b""
    for place, (some, attributes) in enumerate(batches):
        data += batch(some, 1_000 * place, attributes)
    assert_same(data, start, step)


def test_after_records_of_the_format_before_kafka_0_11() -> None:
    old = LegacyRecordBatchBuilder(1, 0, 10**6)
    for offset, value in enumerate([b"a", None]):
        old.append(offset, TIME_MS, b"key", value)
    assert len(assert_same(bytes(old.build()) + batch([message(b"b")], 2))) == 3


def test_without_those_of_aborted_transactions() -> None:
    data = batch([message(b"aborted")], 0, TRANSACTIONAL, producer_id=7)
    data += batch([message(b"of another")], 10, TRANSACTIONAL, producer_id=8)
    data += batch(MARKER, 20, TRANSACTIONAL | CONTROL, producer_id=7)
    data += batch([message(b"after it")], 30, TRANSACTIONAL, producer_id=7)
    read = assert_same(data, aborted=[Aborted(7, 0)])
    assert [record.value for record in read] == [b"of another", b"after it"]


def test_a_damaged_batch_is_stepped_over_as_one_record_that_says_how_many_it_had() -> None:
    damaged = bytearray(batch([message(b"a"), message(b"b"), message(b"c")], 1))
    damaged[-3] ^= 0xFF
    data = batch([message(b"whole")], 0) + bytes(damaged) + batch([message(b"after")], 4)
    read = read_all(data)
    assert [(r.offset, r.value, r.num_lost) for r in read] == [
        (0, b"whole", 0), (3, b"", 3), (4, b"after", 0)
    ]  # fmt: skip
    assert [(r.offset, r.num_lost) for r in read_all(bytes(damaged), start=2)] == [(3, 2)]


@pytest.mark.parametrize("at", [LENGTH_AT, LENGTH_AT + 4, LENGTH_AT + 8])  # record, key, value
def test_a_length_that_cannot_be_is_stepped_over(at: int) -> None:
    data = bytearray(batch([message(b"value")], 5))
    data[at] = 0x7E  # 63
    read = read_all(with_check_sum(data) + batch([message(b"after")], 6), start=5)
    assert [(r.offset, r.value, r.num_lost) for r in read] == [(5, b"", 1), (6, b"after", 0)]


def test_a_batch_that_a_codec_cannot_read_is_stepped_over() -> None:
    data = bytearray(batch([message(b"value")], 5))
    for codec in (GZIP, 5, 7):  # what follows is not compressed; 5 to 7 mean nothing
        data[ATTRIBUTES_AT + 1] = codec
        read = read_all(with_check_sum(data) + batch([message(b"after")], 6), start=5)
        assert [(r.offset, r.num_lost) for r in read] == [(5, 1), (6, 0)]


def test_where_a_damaged_batch_ends_the_next_one_says() -> None:
    damaged = bytearray(batch([message(b"a"), message(b"b")], 5))
    damaged[LAST_DELTA_AT] ^= 0x40  # now it ends in the far future, says the batch
    data = bytes(damaged) + batch([message(b"after")], 7)
    assert [(r.offset, r.num_lost) for r in read_all(data, 5)] == [(6, 2), (7, 0)]
    assert [(r.offset, r.num_lost) for r in read_all(bytes(damaged), 5)] == [(5, 1)]


@given(
    st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=4), min_size=1, max_size=4),
    st.data(),
)
def test_whatever_bit_is_damaged_reading_ends_and_goes_forward(
    values: list[list[bytes]], drawn: st.DataObject
) -> None:
    data, offset, spots = bytearray(), 0, list[int]()
    for some in values:
        one = batch([message(value) for value in some], offset)
        spots += range(len(data) + FRAME_BYTES, len(data) + len(one))
        data, offset = data + one, offset + len(some)
    for at in drawn.draw(st.lists(st.sampled_from(spots), min_size=1, max_size=3)):
        data[at] ^= 1 << drawn.draw(st.integers(0, 7))
    read = read_all(bytes(data))
    offsets = [record.offset for record in read]
    assert read and offsets == sorted(set(offsets)) and offsets[0] >= 0


def test_headers_are_read_where_they_are_asked_for() -> None:
    headers = [("reason", "zu groß".encode()), ("nothing", None), ("field", b"")]
    data = batch([(TIME_MS, b"key", b"value", headers, 0)] * 2, 0)
    for record in reader(FetchedWithHeaders, data).take(9):
        assert dict(record.headers) == {"reason": "zu groß".encode(), "nothing": b"", "field": b""}
    assert read_all(data)[0].headers == ()


def batch(some: list[Any], first_offset: int, attributes: int = 0, producer_id: int = -1) -> bytes:
    """Messages (time, key, value, headers, offsets left out after it) as they lie in the log."""
    ids = (producer_id, 0, 0) if producer_id >= 0 else (-1, -1, -1)
    builder = DefaultRecordBatchBuilder(2, attributes & GZIP, False, *ids, 10**6)
    offset = 0
    for time_ms, key, value, headers, gap in some:
        builder.append(offset, time_ms, key, value, headers)
        offset += 1 + gap
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, first_offset)
    data[ATTRIBUTES_AT + 1] |= attributes & ~GZIP  # what compresses to more is left as it was
    return with_check_sum(data)


def with_check_sum(data: bytearray) -> bytes:
    struct.pack_into(">I", data, CRC_AT, calc_crc32c(memoryview(data)[ATTRIBUTES_AT:]))
    return bytes(data)


def message(value: bytes) -> tuple[int, bytes, bytes, list[Any], int]:
    return (TIME_MS, b"key", value, [], 0)


def reader(kind: Any, data: bytes, start: int = 0, aborted: Any = ()) -> Any:
    """What a fetch from `start` gives."""
    level = IsolationLevel.READ_COMMITTED
    return kind(
        start, TOPIC, MemoryRecords(data), isolation_level=level, aborted_transactions=aborted
    )


def read_all(data: bytes, start: int = 0) -> list[Record]:
    fetched, read = reader(FetchedRecords, data, start), []
    while fetched:
        read += fetched.take(3)
    if read:
        assert fetched.next_fetch_offset > read[-1].offset
    return read


def assert_same(data: bytes, start: int = 0, step: int = 100, aborted: Any = ()) -> list[Record]:
    """Both readers give the same, and are at the same offset after each step; returns it."""
    ours = reader(FetchedRecords, data, start, aborted)
    theirs = reader(Fetcher.PartitionRecords, data, start, aborted)
    read = []
    while ours or theirs:
        some = ours.take(step)
        assert some == [plain(raw) for raw in theirs.take(step)]
        assert (bool(ours), ours.next_fetch_offset) == (bool(theirs), theirs.next_fetch_offset)
        read += some
    return read


def plain(raw: Any) -> Record:
    return Record(raw.partition, raw.offset, raw.timestamp, raw.key or b"", raw.value or b"")
