"""The event log: topics, reading by position, writing with acknowledgement.

Readers assign partitions and seek; they never join a consumer group, because each keeps its
positions beside its own state (a group's committed offset can be ahead of the state or behind it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.partitioner.default import murmur2

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.record import FetchedRecords
from headrace.record import Record as Record  # what a reader gives

POLL_MS = 100
MAX_RECONNECT_MS = 1_000  # a broker that comes back is found within a second
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the topics of one namespace."""

    namespace: str

    @property
    def events(self) -> str:
        return f"{self.namespace}.events"

    @property
    def samples(self) -> str:
        return f"{self.namespace}.samples"

    @property
    def item_features(self) -> str:
        return f"{self.namespace}.item-features"

    @property
    def feature_rows(self) -> str:
        return f"{self.namespace}.feature-rows"

    @property
    def models(self) -> str:
        return f"{self.namespace}.models"

    @property
    def dead_letters(self) -> str:
        return f"{self.namespace}.dead-letters"


def create_topics(settings: Settings) -> None:
    """Create the topics of the namespace that do not exist yet."""
    topics = Topics(settings.namespace)
    wanted = [
        NewTopic(topics.events, settings.num_partitions, 1),
        NewTopic(topics.samples, settings.num_partitions, 1),
        NewTopic(topics.feature_rows, settings.num_partitions, 1),
        NewTopic(
            topics.item_features,
            settings.num_partitions,
            1,
            topic_configs={"cleanup.policy": "compact"},
        ),
        NewTopic(topics.models, 1, 1),
        NewTopic(topics.dead_letters, 1, 1),
    ]
    admin = _admin(settings)
    try:
        for topic in wanted:
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                continue
            except KafkaError as error:
                raise ServiceError(f"cannot create topic {topic.name}: {error}") from None
    finally:
        admin.close()


def partition_of(key: bytes, num_partitions: int) -> int:
    """The partition that Kafka's default partitioner, and so `LogWriter`, gives this key."""
    return int(murmur2(key) & 0x7FFFFFFF) % num_partitions


def log_identity(settings: Settings) -> str:
    """What tells this log from another one under the same address: positions belong to it."""
    admin = _admin(settings)
    try:
        return str(admin.describe_cluster()["cluster_id"])
    finally:
        admin.close()


class LogReader:
    """Reads some partitions of a topic from given offsets (0 where none is given)."""

    def __init__(
        self, settings: Settings, topic: str, start: Mapping[int, int], max_records: int = 2_000
    ) -> None:
        self._topic = topic
        self._partitions = [TopicPartition(topic, number) for number in sorted(start)]
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=POLL_MS,
            reconnect_backoff_max_ms=MAX_RECONNECT_MS,
            max_poll_records=max_records,
        )
        self._consumer._fetcher.PartitionRecords = FetchedRecords
        self._consumer.assign(self._partitions)
        for partition in self._partitions:
            self._consumer.seek(partition, start[partition.partition])

    def poll(self, timeout_ms: int = POLL_MS) -> list[Record]:
        """Records that came, in order within each partition; empty after `timeout_ms` without."""
        polled = self._consumer.poll(timeout_ms=timeout_ms)
        return [record for partition in polled.values() for record in partition]

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
            max((self._consumer.highwater(p) or 0) - self._consumer.position(p), 0)
            for p in self._partitions
        )

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
        return high_watermark is not None and self._consumer.position(partition) >= high_watermark


class LogWriter:
    """Writes messages; `flush` returns when the broker has all of them, or raises."""

    def __init__(self, settings: Settings, timeout_ms: int = 120_000) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            acks="all",
            linger_ms=5,
            reconnect_backoff_max_ms=MAX_RECONNECT_MS,
            delivery_timeout_ms=timeout_ms,
            request_timeout_ms=min(timeout_ms - 10, 30_000),
            max_block_ms=timeout_ms,
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


def _admin(settings: Settings) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap, bootstrap_timeout_ms=10_000
        )
    except KafkaError as error:
        raise ServiceError(
            f"no broker answers at {settings.kafka_bootstrap} ({type(error).__name__}): is it "
            "running? unset KAFKA_BOOTSTRAP to let `headrace up` start one"
        ) from None
