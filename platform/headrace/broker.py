"""The event log: reading by position, writing with acknowledgement.

Readers assign partitions and seek; they never join a consumer group, because each keeps its
positions beside its own state (a group's committed offset can be ahead of the state or behind it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    LogTruncationError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    PolicyViolationError,
    RecordListTooLargeError,
)

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.log_watch import DESCRIBE_EVERY_MS, Gap, LogWatch
from headrace.partitioner import partition_of as partition_of  # as `LogWriter` has it
from headrace.record import FetchedRecords
from headrace.record import Record as Record  # what a reader gives
from headrace.topics import LogIdentity as LogIdentity  # what positions belong to
from headrace.topics import Topics as Topics  # what is read and written
from headrace.topics import create_topics as create_topics
from headrace.topics import log_identity as log_identity

POLL_MS = 100
ASKED_TIMES = 20  # for the end of a log
MAX_RECONNECT_MS = 1_000  # a broker that comes back is found within a second
ABOUT_THE_MESSAGE = (
    *(MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError),
    *(InvalidTimestampError, PolicyViolationError),
)  # what a broker has against one message, and not against all
Headers = Sequence[tuple[str, bytes]]


class LogReader:
    """Reads some partitions of a topic from given offsets.

    Offsets before the log's start are passed over, and told by `take_gaps`. Raises `LogMismatch`
    where the topic is not what it was in `log`, or from the first look on, or does not reach to
    `start` and `until` (`LogWatch`).
    """

    fetched = FetchedRecords  # how records come out of what was fetched

    def __init__(
        self,
        settings: Settings,
        topic: str,
        start: Mapping[int, int],
        max_records: int = 2_000,
        until: Mapping[int, int] | None = None,
        log: LogIdentity | None = None,
    ) -> None:
        self._topic = topic
        self._partitions = [TopicPartition(topic, number) for number in sorted(start)]
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            metadata_max_age_ms=DESCRIBE_EVERY_MS,
            isolation_level="read_committed",
            fetch_max_wait_ms=POLL_MS,
            reconnect_backoff_max_ms=MAX_RECONNECT_MS,
            max_poll_records=max_records,
            **settings.client_options(),
        )
        self._consumer._fetcher.PartitionRecords = self.fetched
        self._consumer.assign(self._partitions)
        for partition in self._partitions:
            self._consumer.seek(partition, start[partition.partition])
        id = log.topics.get(topic, "") if log else ""
        self._watch = LogWatch(settings, self._consumer, self._partitions, until or {}, id)

    def poll(self, timeout_ms: int = POLL_MS) -> list[Record]:
        """Records that came, in order within each partition; empty after `timeout_ms` without."""
        try:
            self._watch.look()
            polled = self._consumer.poll(timeout_ms=timeout_ms)
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            self._watch.find(error)
            return []
        return [record for partition in polled.values() for record in partition]

    def take_gaps(self) -> list[Gap]:
        """What was asked for and is gone from the log, as found since the last call; the records
        that come next of such a partition lie behind it."""
        return self._watch.take_gaps()

    def read_to_end(self) -> Iterable[list[Record]]:
        """Batches of records up to what the log holds now (as of the broker's own high watermark).

        `end_offsets` is not used: one broker that headrace supports answers it too low.
        """
        while True:
            yield self.poll()
            if all(self._at_end(partition) for partition in self._partitions):
                return

    def lag(self) -> int:
        """Messages in the log that were not read yet, as of the last fetch."""
        return sum(
            max((self._consumer.highwater(p) or 0) - self._position(p), 0) for p in self._partitions
        )

    def ends(self) -> dict[int, int]:
        """The offset after the newest message of each partition that was fetched from."""
        found = ((p.partition, self._consumer.highwater(p)) for p in self._partitions)
        return {number: end for number, end in found if end is not None}

    def has_answers(self) -> bool:
        """Whether each partition was fetched from; before that nothing is known of the lag."""
        return all(self._consumer.highwater(p) is not None for p in self._partitions)

    def at_end(self, partition: int) -> bool:
        """Whether everything that the last fetch knew of in this partition was read."""
        return self._at_end(TopicPartition(self._topic, partition))

    def close(self) -> None:
        self._consumer.close()

    def _at_end(self, partition: TopicPartition) -> bool:
        high_watermark = self._consumer.highwater(partition)
        return high_watermark is not None and self._position(partition) >= high_watermark

    def _position(self, partition: TopicPartition) -> int:
        try:
            return int(self._consumer.position(partition))
        except LogTruncationError as error:  # whoever asks first is told
            self._watch.find(error)
            return int(self._consumer.position(partition))


def ends_of_log(settings: Settings, topic: str) -> dict[int, int]:
    """The offset after the newest message of each partition of a topic, as far as it answers."""
    start = dict.fromkeys(range(settings.num_partitions), 0)
    reader = LogReader(settings, topic, start, max_records=1)
    for _ in range(ASKED_TIMES):
        if reader.has_answers():
            break
        reader.poll()
    ends = reader.ends()
    reader.close()
    return ends


class LogWriter:
    """Writes messages; `flush` returns when the broker has all of them, or raises."""

    def __init__(self, settings: Settings, timeout_ms: int = 120_000) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            acks="all",
            allow_auto_create_topics=False,
            linger_ms=5,
            reconnect_backoff_max_ms=MAX_RECONNECT_MS,
            delivery_timeout_ms=timeout_ms,
            request_timeout_ms=min(timeout_ms - 10, 30_000),
            max_block_ms=timeout_ms,
            **settings.client_options(),
        )
        self._failures: list[BaseException] = []

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Headers = (),
        arrival_ms: int | None = None,
    ) -> None:
        """Queue one message; the key chooses the partition unless `partition` does.

        `arrival_ms` is now, unless the message passes on what arrived earlier.
        """
        given = {"headers": list(headers), "timestamp_ms": arrival_ms}
        future = self._producer.send(topic, value=value, key=key, partition=partition, **given)
        future.add_errback(self._failures.append)

    def offer(
        self, topic: str, value: bytes, headers: Headers, refused: Callable[[str], None]
    ) -> None:
        """Queue a message that may be left out: where the broker does not take it for what it is,
        above all too large, that is told to `refused` before `flush` returns, and is no failure."""

        def failed(error: BaseException) -> None:
            if isinstance(error, ABOUT_THE_MESSAGE):
                refused(f"{type(error).__name__}: {error}")
            else:
                self._failures.append(error)

        try:
            future = self._producer.send(topic, value=value, headers=list(headers))
        except ABOUT_THE_MESSAGE as error:
            failed(error)
        else:
            future.add_errback(failed)

    def flush(self) -> None:
        """Wait for all queued messages; raises `ServiceError` if any was not acknowledged."""
        self._producer.flush()
        if self._failures:
            first = self._failures[0]
            self._failures.clear()
            raise ServiceError(f"the broker did not take a message: {first}") from first

    def take_failures(self) -> int:
        """How many messages were not acknowledged since this or `flush` last said so."""
        num_failures = len(self._failures)
        self._failures.clear()
        return num_failures

    def close(self) -> None:
        self._producer.close()
