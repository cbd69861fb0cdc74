"""The decoding of Kafka's fetched batches into records.

kafka-python spends most of a poll on objects that nobody asked for. `FetchedRecords` leaves it all
that is about batches (check sums, aborted transactions, positions), and reads the records in one at
a quarter of the cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import UnsupportedCodecError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from headrace.broker.record import Headers, Record
from headrace.broker.uncompress import uncompressed


class FetchedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """The fetched batches of a partition, in place of a fetcher's `PartitionRecords`: its consumer
    then polls `Record`s. A null is b"", headers are left out. A batch that is damaged (its check
    sum or its structure) is stepped over, as one record that says how many messages it stands for.
    """

    with_headers = False

    def _unpack_records(
        self, tp: TopicPartition, batches: Any, *deserializers: Any
    ) -> Iterator[Record]:
        whole = _WholeBatches(tp.partition, batches, self.fetch_offset, self.with_headers)
        for raw in super()._unpack_records(tp, whole, *deserializers):
            for record in raw.value if isinstance(raw.value, list) else [_record(raw)]:
                self.next_fetch_offset = record.offset + 1
                yield record


class FetchedWithHeaders(FetchedRecords):
    """The same with headers."""

    with_headers = True


class _WholeBatches:
    """The batches, those of the present format as if they had one record each, whose value is the
    list of all. So what kafka-python does for each record, it does for each batch."""

    def __init__(self, partition: int, batches: Any, start: int, with_headers: bool) -> None:
        self._partition, self._batches, self._next = partition, batches, start
        self._with_headers = with_headers
        self._held: list[Any] = []  # a batch after a damaged one, looked at already

    def next_batch(self) -> Any:
        batch = self._held.pop() if self._held else self._read()
        if batch is None:
            return None
        if not _is_intact(batch):
            return self._lost(batch)
        first = self._next  # batches of before Kafka 0.11 do not tell where they end
        self._next = max(getattr(batch, "next_offset", first), first)
        if isinstance(batch, DefaultRecordBatch) and not batch.is_control_batch:
            return _WholeBatch(self._partition, batch, first, self._with_headers)
        return batch

    def _read(self) -> Any:
        try:
            return self._batches.next_batch()
        except Exception as error:  # whatever the bytes are: what follows them cannot be found
            self._batches = _NoBatches()
            return error

    def _lost(self, batch: Any) -> _LostBatch:
        """Nothing in a damaged batch is certain: its end is where it says, if it says so twice, or
        where the next one begins; else one message is given up, and the broker asked for more."""
        first, end = self._next, self._next + 1
        if isinstance(batch, DefaultRecordBatch):
            after = batch.base_offset + batch.last_offset_delta + 1
            agrees = batch.last_offset_delta + 1 == batch.records_count
            end = after if agrees and batch.base_offset <= first < after else end
        following = self._read()
        if following is not None:
            self._held.append(following)
            begins = following.base_offset if _is_intact(following) else end
            end = begins if begins > first else end
        self._next = end
        return _LostBatch(_lost_record(self._partition, first, end))


class _NoBatches:
    def next_batch(self) -> None:
        return None


def _is_intact(batch: Any) -> bool:
    try:
        return bool(batch.validate_crc())
    except Exception:  # whatever the bytes are
        return False


class _LostBatch:
    """A damaged batch: one record, of a format that says nothing of transactions."""

    magic, size_in_bytes = 1, 0

    def __init__(self, record: Record) -> None:
        self._record = record

    def validate_crc(self) -> bool:
        return True  # it has none: this is what stands for the batch

    @property
    def is_control_batch(self) -> bool:
        return False

    def __iter__(self) -> Iterator[DefaultRecord]:
        yield _as_one([self._record], self.size_in_bytes)


class _WholeBatch:
    def __init__(
        self, partition: int, batch: DefaultRecordBatch, first: int, with_headers: bool
    ) -> None:
        self._partition, self._batch, self._first = partition, batch, first
        self._with_headers = with_headers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        return True  # it was looked at already

    def __iter__(self) -> Iterator[DefaultRecord]:
        try:
            records = _records(self._partition, self._batch, self._with_headers)
        except UnsupportedCodecError:
            if self._batch.compression_type <= self._batch.CODEC_ZSTD:
                raise  # a library is missing here: the batch is whole
            records = [_lost_record(self._partition, self._first, self._batch.next_offset)]
        except Exception:  # whatever a decompressor or a length out of nowhere leads to
            records = [_lost_record(self._partition, self._first, self._batch.next_offset)]
        if records:
            yield _as_one(records, self._batch.size_in_bytes)


def _as_one(records: list[Record], size: int) -> DefaultRecord:
    return DefaultRecord(size, records[-1].offset, records[-1].arrival_ms, 0, None, records, [])


def _lost_record(partition: int, first: int, end: int) -> Record:
    return Record(partition, max(end, first + 1) - 1, 0, b"", b"", max(end - first, 1))


def _records(partition: int, batch: DefaultRecordBatch, with_headers: bool) -> list[Record]:
    """A record is its length, a byte that means nothing yet, its time and offset relative to the
    batch's, key and value after their lengths (-1 for a null), and headers; numbers are varints."""
    data, position = bytes(memoryview(batch._buffer)[batch._pos :]), 0
    if batch.compression_type:
        data = uncompressed(batch.compression_type, data)
    first_offset, first_ms, last_ms = batch.base_offset, batch.first_timestamp, batch.max_timestamp
    is_log_time = bool(batch.timestamp_type)
    records: list[Record] = []
    for _ in range(batch.records_count):
        length, start = _varint(data, position)
        after_ms, position = _varint(data, start + 1)
        after, position = _varint(data, position)
        length_of_key, key = _varint(data, position)
        key_end = key + length_of_key if length_of_key > 0 else key
        length_of_value, value = _varint(data, key_end)
        value_end = value + length_of_value if length_of_value > 0 else value
        position = start + length
        if value_end >= position:
            raise ValueError(f"record {len(records)} is longer than it says")
        arrival_ms = last_ms if is_log_time else first_ms + after_ms
        key_bytes, value_bytes = data[key:key_end], data[value:value_end]
        record = Record(partition, first_offset + after, arrival_ms, key_bytes, value_bytes)
        if with_headers:
            record = msgspec.structs.replace(record, headers=_headers(data[:position], value_end))
        records.append(record)
    if position != len(data):
        raise ValueError(f"{len(records)} records end at {position} of {len(data)} bytes")
    if records and records[-1].offset >= batch.next_offset:
        raise ValueError(f"record at {records[-1].offset} in a batch up to {batch.next_offset}")
    return records


def _headers(data: bytes, position: int) -> Headers:
    """Names and values after their lengths, and before them their number."""
    num, position = _varint(data, position)
    headers = []
    for _ in range(num):
        texts = []
        for _ in range(2):
            length, position = _varint(data, position)
            if length > len(data) - position:
                raise ValueError("a header is longer than its record")
            texts.append(data[position : position + max(length, 0)])
            position += max(length, 0)
        headers.append((texts[0].decode(errors="replace"), texts[1]))
    return tuple(headers)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint and the position after it; most have one or two bytes."""
    number = data[position]
    if number < 0x80:
        return (number >> 1) ^ -(number & 1), position + 1
    high = data[position + 1]
    if high < 0x80:
        number += (high - 1) << 7
        return (number >> 1) ^ -(number & 1), position + 2
    value, position = decode_varint(data, position)
    return int(value), int(position)


def _record(raw: Any) -> Record:
    return Record(raw.partition, raw.offset, raw.timestamp, raw.key or b"", raw.value or b"")
