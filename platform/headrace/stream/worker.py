"""A stream worker: owns partitions, and carries their effects to the store and the topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from redis import Redis

from headrace import config
from headrace.broker import LogReader, LogWriter, Record, Topics
from headrace.datasets.catalogue import read_items
from headrace.feature_rows import encode_feature_rows, numbered
from headrace.features.layout import Layout
from headrace.features.online import OnlineStore
from headrace.features.shared import SharedState, topic_messages
from headrace.features.state import Rows
from headrace.features.table import USER_LAYOUT
from headrace.keys import key
from headrace.latency import Latencies
from headrace.model.tokens import user_token_keys
from headrace.sample import encode_batches
from headrace.status import StatusBoard
from headrace.stream.commit import CommitStore
from headrace.stream.intake import Decoded, decode_records
from headrace.stream.partition import Effects, Partition, PartitionSettings

STATUS_EVERY_MS = 500

RowsByPartition = list[tuple[int, Layout, list[str], Rows]]  # by the one that answers for them


class Worker:
    """Runs the partitions given to it until it is stopped; a new worker goes on where it ended."""

    def __init__(
        self, settings: config.Settings, partitions: Sequence[int], clock: Callable[[], int]
    ) -> None:
        self._settings, self._clock = settings, clock
        self._topics = Topics(settings.namespace)
        redis = Redis.from_url(settings.redis_url)
        self._commits = CommitStore(redis, settings.namespace)
        self._status = StatusBoard(redis, settings.namespace)
        self._store = OnlineStore(settings)
        self._writer = LogWriter(settings)
        self._shared = SharedState(read_items(config.catalogue_path(settings)).get)
        self._partitions = {number: self._partition(number) for number in partitions}
        self._freshness, self._status_due_ms = Latencies(), 0
        self._item_reader = LogReader(
            settings,
            self._topics.item_features,
            dict.fromkeys(range(settings.num_partitions), 0),
        )

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Recover, then process until told to stop. What is committed then is complete."""
        for records in self._item_reader.read_to_end():
            self._shared.apply(records)
        everything = {entity: table.ids for entity, table in self._shared.tables.items()}
        self._step((), lambda number: False, self._owned(everything))
        events = self._warm_up()
        while not should_stop():
            mentioned = self._shared.apply(self._item_reader.poll(timeout_ms=0))
            self._step(events.poll(), events.at_end, self._owned(mentioned))
            self._report(events.lag())
        events.close()
        self._item_reader.close()
        self._writer.close()

    def _partition(self, number: int) -> Partition:
        rules = PartitionSettings.of(self._settings)
        return Partition(number, self._commits.read(number), self._shared, rules)

    def _warm_up(self) -> LogReader:
        """Read again what lies before the commits; returns the reader, standing at the commits."""
        start = {number: part.warm_up_from for number, part in self._partitions.items()}
        reader = LogReader(self._settings, self._topics.events, start)
        behind = {n for n, p in self._partitions.items() if p.commit.offset > start[n]}
        while behind:
            for number, records in _by_partition(reader.poll()).items():
                partition = self._partitions[number]
                before = [r for r in records if r.offset < partition.commit.offset]
                decoded = decode_records(before, self._clock())
                self._load_users(partition, decoded)
                partition.warm_up(decoded)
                if records[-1].offset + 1 >= partition.commit.offset:
                    behind.discard(number)
        reader.close()
        commits = {number: part.commit.offset for number, part in self._partitions.items()}
        return LogReader(self._settings, self._topics.events, commits)

    def _step(
        self, records: Sequence[Record], at_end: Callable[[int], bool], owned: RowsByPartition
    ) -> None:
        """Process what came, in the order that makes a crash at any point harmless.

        1. letters, samples and the numbers of rows go to their topics, and are acknowledged;
        2. partial item states go to theirs: what they include has its samples in the topic, so
           that no sample is ever made again from a state that knows its outcome;
        3. the rows of users, and of the shared entities answered for, go to the online store;
        4. the commit: an event before it is in all of these.
        """
        all_effects = self._process(records, at_end)
        if not (records or owned or any(effects.samples for effects in all_effects.values())):
            return
        changed = [(n, USER_LAYOUT, *effects.changed.users) for n, effects in all_effects.items()]
        to_write = [
            (layout, ids, rows, numbered(layout, number, ids, rows))
            for number, layout, ids, rows in [*changed, *owned]
        ]
        for number, effects in all_effects.items():
            self._send_labelled(number, effects)
        for *_, numbers in to_write:
            for message in encode_feature_rows(numbers):
                self._writer.send(self._topics.feature_rows, message, partition=numbers.partition)
        self._writer.flush()
        for number, effects in all_effects.items():
            for item_key, value in topic_messages(effects.changed.shared):
                self._writer.send(self._topics.item_features, value, item_key, number)
        self._writer.flush()
        for layout, ids, rows, numbers in to_write:
            self._store.write(layout, ids, rows, numbers.number_UF)
        self._commits.write({n: partition.commit for n, partition in self._partitions.items()})
        readable_ms = self._clock()
        for record in records:
            self._freshness.add(readable_ms - record.arrival_ms)

    def _process(
        self, records: Sequence[Record], at_end: Callable[[int], bool]
    ) -> dict[int, Effects]:
        by_partition = _by_partition(records)
        all_effects: dict[int, Effects] = {}
        for number, partition in self._partitions.items():
            if number not in by_partition and not at_end(number):
                continue  # only a partition that was read to its end may close windows by the clock
            decoded = decode_records(by_partition.get(number, []), self._clock())
            self._load_users(partition, decoded)
            all_effects[number] = partition.process(decoded, self._clock())
        return all_effects

    def _load_users(self, partition: Partition, decoded: Sequence[Decoded]) -> None:
        missing = partition.missing_users(decoded)
        stored = self._store.read_users(missing)
        partition.add_users(missing, stored.rows, list(map(user_token_keys, stored.attributes)))

    def _send_labelled(self, number: int, effects: Effects) -> None:
        for letter in effects.dead_letters:
            headers = {
                "reason": letter.reason,
                "field": letter.field,
                "partition": str(number),
                "offset": str(letter.record.offset),
            }
            encoded = [(name, text.encode()) for name, text in headers.items()]
            self._writer.send(self._topics.dead_letters, letter.record.value, headers=encoded)
        for message in encode_batches(effects.samples):
            self._writer.send(self._topics.samples, message, partition=number)

    def _owned(self, mentioned: Mapping[str, Sequence[str]]) -> RowsByPartition:
        """The merged rows of those shared entities that this worker answers for."""
        owned: RowsByPartition = []
        for entity, ids in mentioned.items():
            table = self._shared.tables[entity]
            mine: dict[int, list[str]] = {number: [] for number in self._partitions}
            for id_ in ids:
                mine.get(key(id_) % self._settings.num_partitions, []).append(id_)
            owned += [
                (number, table.layout, ids, table.merged(table.find(ids)))
                for number, ids in mine.items()
                if ids
            ]
        return owned

    def _report(self, lag: int) -> None:
        now_ms = self._clock()
        if now_ms < self._status_due_ms:
            return
        self._status_due_ms = now_ms + STATUS_EVERY_MS
        document = {"lag": lag, "freshness": self._freshness.to_pairs()}
        self._status.write("stream", document, now_ms)


def _by_partition(records: Sequence[Record]) -> dict[int, list[Record]]:
    """The records of each partition, in order."""
    grouped: dict[int, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.partition, []).append(record)
    return grouped
