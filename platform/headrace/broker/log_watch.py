"""The watch over a topic that is read: whether it is still the same one, and whether it has the
offsets asked of it. The consumer keeps the broker's description of the topic fresh; to look costs
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from headrace.broker.topics import FoundTopic, check_partitions, topic_id
from headrace.config import Settings
from headrace.errors import LogMismatch

LOOK_EVERY_S: Final = 1.0
MIN_LOOKS: Final = 3
DESCRIBE_EVERY_MS: Final = 5_000  # how old the description gets; fetches that fail renew it at once
PATIENCE_S: Final = 10.0  # a leader that is just elected may not know all of the log, or no topic

ADVICE: Final = (
    "was it deleted and made anew, or cut off? Positions of another log are wrong in it: choose "
    "another namespace (HEADRACE_NAMESPACE)"
)


class Gap(NamedTuple):
    """Offsets of a partition that were asked for and are not in the log any more."""

    topic: str
    partition: int
    gone: range

    def __str__(self) -> str:
        return (
            f"topic {self.topic}, partition {self.partition} begins at offset {self.gone.stop}: "
            f"the {len(self.gone)} messages from {self.gone.start} on are gone and were not read; "
            "let the topic keep them for longer (retention.ms)"
        )


class LogWatch:
    """Watches the topic of a consumer; raises `LogMismatch` where reading on would be wrong.

    `until` are offsets, by partition, that the log must reach to, as somebody has read as far;
    `id` is the topic's identity that all of them belong to, "" for that which is found first.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: KafkaConsumer,
        partitions: Sequence[TopicPartition],
        until: Mapping[int, int],
        id: str = "",
    ) -> None:
        self._settings, self._consumer = settings, consumer
        self._partitions, self._until = partitions, until
        self.id = id
        self._due_s = 0.0
        self._num_ill = 0  # looks in a row at which not all was as it should be
        self._ill_s = 0.0  # when the first of them was
        self._heard_ms = 0.0  # when the broker last described its topics
        self._gaps: list[Gap] = []

    def look(self, now: bool = False) -> None:
        """Raise for another topic, another number of partitions, or a log that ends too early."""
        now_s = time.monotonic()
        if not self._partitions or (now_s < self._due_s and not now):
            return
        self._due_s = now_s + LOOK_EVERY_S
        topic, cluster = self._partitions[0].topic, self._consumer._cluster
        numbers, before_ms = cluster.partitions_for_topic(topic), self._heard_ms
        self._heard_ms = cluster._last_successful_refresh_ms
        if not numbers and self._heard_ms == before_ms:
            return  # a broker that is away says nothing of its topics
        if numbers:
            found = FoundTopic(len(numbers), topic_id(cluster.topic_id(topic)))
            self._check_same(topic, found.id)
            check_partitions(self._settings, {topic: found})
        problem = self._beyond_end() if numbers else f"topic {topic} is not there; {ADVICE}"
        if problem and not self._num_ill:
            self._ill_s = now_s
        self._num_ill = self._num_ill + 1 if problem else 0
        # Not by the clock alone: whoever reads may have waited for the broker between two looks.
        if self._num_ill >= MIN_LOOKS and now_s - self._ill_s > PATIENCE_S:
            raise LogMismatch(problem)

    def find(self, error: OffsetOutOfRangeError | LogTruncationError) -> None:
        """Go on where the log begins, if a position lies before that; `take_gaps` tells of it.

        Raises `LogMismatch` for a position behind the log's end.
        """
        self.look(now=True)
        if isinstance(error, LogTruncationError):
            self._cut_off(error)
        else:
            self._skip_gap(error)

    def take_gaps(self) -> list[Gap]:
        """The gaps found since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def _cut_off(self, error: LogTruncationError) -> None:
        """Raise where the log was cut off before a position, as its leaders' history tells."""
        for partition, end in error.divergent_offsets.items():
            position = self._consumer.position(partition)
            if end is not None and end.offset < position:
                raise LogMismatch(self._too_short(partition, end.offset, position))
            self._consumer.seek(partition, position)  # without the history, which says nothing

    def _skip_gap(self, error: OffsetOutOfRangeError) -> None:
        for partition, position in error.args[0].items():
            first = int(self._consumer.beginning_offsets([partition])[partition])
            if position > first:
                end = int(self._consumer.end_offsets([partition])[partition])
                raise LogMismatch(self._too_short(partition, end, position))
            if position < first:
                gone = range(position, first)
                self._gaps.append(Gap(partition.topic, partition.partition, gone))
            self._consumer.seek(partition, first)

    def _check_same(self, topic: str, found: str) -> None:
        if self.id and found and found != self.id:
            raise LogMismatch(
                f"topic {topic} is another one ({found}) than the one that was read so far "
                f"({self.id}); {ADVICE}"
            )
        self.id = found or self.id

    def _beyond_end(self) -> str:
        """The problem of a partition that ends before the offset it was read up to, "" for none.
        The offsets between would be given out again."""
        for partition in self._partitions:
            end = self._consumer.highwater(partition)
            if end is None:
                continue
            position = self._consumer.position(partition)
            reached = max(position, self._until.get(partition.partition, 0))
            if reached > end:
                return self._too_short(partition, end, reached)
        return ""

    @staticmethod
    def _too_short(partition: TopicPartition, end: int, reached: int) -> str:
        return (
            f"topic {partition.topic}, partition {partition.partition} ends at offset {end}, and "
            f"was read up to offset {reached}; {ADVICE}"
        )
