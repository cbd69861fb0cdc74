"""A reader of the event log: the records of some partitions, by position.

Readers assign partitions and seek; they never join a consumer group, because each keeps its
positions beside its own state (a group's committed offset can be ahead of the state or behind it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    LogTruncationError,
    OffsetOutOfRangeError,
)

from headrace.broker.kafka_records import FetchedRecords
from headrace.broker.log_watch import DESCRIBE_EVERY_MS, Gap, LogWatch
from headrace.broker.record import Record
from headrace.broker.topics import LogIdentity
from headrace.config import Settings

POLL_MS = 100
ASKED_TIMES = 20  # for the end of a log
MAX_RECONNECT_MS = 1_000  # a broker that comes back is found within a second


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
        self._partitions = [TopicPartition(topic, partition) for partition in sorted(start)]
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
            **settings.kafka.client_options(),
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
        """The gaps found since the last call: offsets that were asked for and are gone from the
        log. The records that come next of such a partition lie behind its gap."""
        return self._watch.take_gaps()

    def read_to_end(self) -> Iterable[list[Record]]:
        """Batches of records up to the log's present end (the broker's own high watermark).

        `end_offsets` is not used: one broker that headrace supports answers it too low.
        """
        while True:
            yield self.poll()
            if self.is_at_end():
                return

    def is_at_end(self) -> bool:
        """Whether everything that the last fetches knew of was read, in every partition."""
        return all(self._at_end(partition) for partition in self._partitions)

    def lag(self) -> int:
        """Messages in the log that were not read yet, as of the last fetch."""
        return sum(
            max((self._consumer.highwater(p) or 0) - self._position(p), 0) for p in self._partitions
        )

    def ends(self) -> dict[int, int]:
        """The offset after the newest message of each partition that was fetched from."""
        found = ((p.partition, self._consumer.highwater(p)) for p in self._partitions)
        return {partition: end for partition, end in found if end is not None}

    @property
    def topic_id(self) -> str:
        """The topic's identity, "" before it is known and where the broker gives it none."""
        return self._watch.id

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
    start = dict.fromkeys(range(settings.stream.num_partitions), 0)
    reader = LogReader(settings, topic, start, max_records=1)
    for _ in range(ASKED_TIMES):
        if reader.has_answers():
            break
        reader.poll()
    ends = reader.ends()
    reader.close()
    return ends
