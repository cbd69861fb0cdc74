"""Compressed batches, as producers send them: each codec is read, and what cannot be is named."""

from __future__ import annotations

import struct

import pytest
from kafka import TopicPartition, codec
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.util import calc_crc32c

from headrace.broker import uncompress
from headrace.broker.kafka_records import FetchedRecords
from headrace.broker.record import Record

TOPIC = TopicPartition("topic", 3)
TIME_MS = 1_800_000_000_000
CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CRC_AT, ATTRIBUTES_AT, RECORDS_AT = 17, 21, 61
NUM_RECORDS = 5_000  # of which zstd makes frames that do not say how long their content is


def batch(number: int, num_records: int) -> bytearray:
    """A batch that this codec made smaller."""
    builder = DefaultRecordBatchBuilder(2, number, False, -1, -1, -1, 10**7)
    for offset in range(num_records):
        builder.append(offset, TIME_MS + offset, b"ann", b"value %d " % offset * 9, [])
    data = bytearray(builder.build())
    assert data[ATTRIBUTES_AT + 1] == number, "the builder left it as it was"
    return data


def with_check_sum(data: bytearray) -> bytes:
    struct.pack_into(">I", data, CRC_AT, calc_crc32c(memoryview(data)[ATTRIBUTES_AT:]))
    return bytes(data)


def read(data: bytes) -> list[Record]:
    records: list[Record] = FetchedRecords(0, TOPIC, MemoryRecords(data)).take(10**6)
    return records


@pytest.mark.parametrize("name", CODECS)
def test_batches_of_each_codec_are_read(name: str) -> None:
    records = read(bytes(batch(CODECS[name], NUM_RECORDS)))
    assert records == [
        Record(TOPIC.partition, offset, TIME_MS + offset, b"ann", b"value %d " % offset * 9)
        for offset in range(NUM_RECORDS)
    ]


def test_snappy_as_librdkafka_sends_it_is_read() -> None:
    """Plain snappy, not the frames of the Java client."""
    data = batch(CODECS["snappy"], 20)
    content = codec.snappy_decode(bytes(data[RECORDS_AT:]))
    data[RECORDS_AT:] = codec.snappy_encode(content, xerial_compatible=False)
    struct.pack_into(">i", data, 8, len(data) - 12)
    assert len(read(with_check_sum(data))) == 20


@pytest.mark.parametrize("name", CODECS)
def test_a_batch_that_its_codec_cannot_read_is_stepped_over_and_counted(name: str) -> None:
    data = batch(CODECS[name], 50)
    data[RECORDS_AT:] = bytes(byte ^ 0x5A for byte in data[RECORDS_AT:])
    with pytest.raises(ValueError, match=f"its codec, {name}, cannot read it"):
        uncompress.uncompressed(CODECS[name], bytes(data[RECORDS_AT:]))
    assert [record.num_lost for record in read(with_check_sum(data))] == [50]


def test_a_batch_of_a_codec_that_nobody_knows_is_stepped_over_and_counted() -> None:
    data = batch(CODECS["gzip"], 50)
    data[ATTRIBUTES_AT + 1] = 6
    with pytest.raises(ValueError, match="its codec, number 6, cannot read it: Kafka had no such"):
        uncompress.uncompressed(6, bytes(data[RECORDS_AT:]))
    assert [record.num_lost for record in read(with_check_sum(data))] == [50]


@pytest.mark.parametrize("name", CODECS)
def test_a_small_batch_that_holds_too_much_is_damaged_and_not_unpacked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uncompress, "MAX_BYTES", 100_000)
    monkeypatch.setattr(uncompress, "CHUNK_BYTES", 10_000)
    data = batch(CODECS[name], NUM_RECORDS)
    with pytest.raises(ValueError, match="it holds more than 100000 bytes"):
        uncompress.uncompressed(CODECS[name], bytes(data[RECORDS_AT:]))
    assert [record.num_lost for record in read(bytes(data))] == [NUM_RECORDS]
    assert len(read(bytes(batch(CODECS[name], 50)))) == 50
