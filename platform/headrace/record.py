"""Records: messages as they lie in the log, and how they come out of what was fetched of it.

kafka-python spends most of a poll on objects that nobody asked for. `FetchedRecords` leaves it all
that is about batches (check sums, compression, aborted transactions, positions), and reads the
records in a batch at a quarter of the cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint


class Record(msgspec.Struct, frozen=True, gc=False):
    """One message as it lies in the log; `arrival_ms` is when its producer sent it.

    A batch that is damaged is one record without key and value, which stands for `num_lost`
    messages up to its own offset.
    """

    partition: int
    offset: int
    arrival_ms: int
    key: bytes
    value: bytes
    num_lost: int = 0


class FetchedRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched of a partition, for a fetcher's `PartitionRecords`: its consumer then polls
    `Record`s. A null is b"", headers are left out."""

    def _unpack_records(
        self, tp: TopicPartition, batches: Any, *deserializers: Any
    ) -> Iterator[Record]:
        whole = _WholeBatches(tp.partition, batches)
        for raw in super()._unpack_records(tp, whole, *deserializers):
            for record in raw.value if isinstance(raw.value, list) else [_record(raw)]:
                self.next_fetch_offset = record.offset + 1
                yield record


class _WholeBatches:
    """The batches, those of the present format as if they had one record each, whose value is the
    list of all. So what kafka-python does for each record, it does for each batch."""

    def __init__(self, partition: int, batches: Any) -> None:
        self._partition, self._batches = partition, batches

    def next_batch(self) -> Any:
        batch = self._batches.next_batch()
        if isinstance(batch, DefaultRecordBatch) and not batch.is_control_batch:
            return _WholeBatch(self._partition, batch)
        return batch


class _WholeBatch:
    def __init__(self, partition: int, batch: DefaultRecordBatch) -> None:
        self._partition, self._batch = partition, batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[DefaultRecord]:
        try:
            records = _records(self._partition, self._batch)
        except (IndexError, ValueError) as error:
            raise CorruptRecordError(f"batch at {self._batch.base_offset}: {error}") from error
        if records:
            size, last = self._batch.size_in_bytes, records[-1]
            yield DefaultRecord(size, last.offset, last.arrival_ms, 0, None, records, [])


def _records(partition: int, batch: DefaultRecordBatch) -> list[Record]:
    """A record is its length, a byte that means nothing yet, its time and offset relative to the
    batch's, key and value after their lengths (-1 for a null), and headers; numbers are varints."""
    batch._maybe_uncompress()
    data, position = bytes(memoryview(batch._buffer)[batch._pos :]), 0
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
        records.append(Record(partition, first_offset + after, arrival_ms, key_bytes, value_bytes))
    if position != len(data):
        raise ValueError(f"{len(records)} records end at {position} of {len(data)} bytes")
    return records


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
