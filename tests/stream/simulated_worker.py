"""A stream worker over a log, topics and a store in memory: it can die before any of its writes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial as bind
from random import Random
from typing import Any

import msgspec

from headrace import config, sample
from headrace.broker.record import Record
from headrace.broker.topics import LogIdentity
from headrace.catalogue.item import Item
from headrace.features.rows.bounds import NOTHING, Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.messages.ownership import Ownership, owner_of
from headrace.features.rows.messages.row_messages import (
    MERGED,
    RowDecoder,
    RowKey,
    merged_messages,
    partial_messages,
)
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import Rows, encode_rows
from headrace.features.store.last_items import decode_items
from headrace.positions.commit import Commit
from headrace.skipped import Skipped
from headrace.stream.delivery import Gone
from headrace.stream.owner import TELL_EVERY_MS, ItemOwner, Owned
from headrace.stream.step.intake import Decoded, decode_records
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import Effects, Partition, PartitionSettings

PARTITIONS = (0, 1)
WINDOW_MS = 1_000
DEDUPE_WINDOW = 6
ITEMS = {number: tuple(f"{number}{name}" for name in "abcde") for number in PARTITIONS}
CATALOGUE = tuple(item for items in ITEMS.values() for item in items)
NUM_DRAWN, POPULARITY = 3, 0.75
NEGATIVES = Negatives(NUM_DRAWN, POPULARITY, CATALOGUE)
RULES = PartitionSettings(DEDUPE_WINDOW, WINDOW_MS, negatives=NEGATIVES)
UNKNOWN = "?"  # what the ids begin with of items that are in no catalogue
NUM_UNKNOWN = 3  # that a worker has places for
BOUNDS = Bounds(Share(NUM_UNKNOWN, 2 * WINDOW_MS), NOTHING)

Send = Callable[[], None]


class Crash(Exception):
    """The worker died."""


@dataclass
class World:
    """What a crash leaves: the log, the topics and the store."""

    log: dict[int, list[Record]]
    samples: dict[int, list[bytes]] = field(default_factory=lambda: {n: [] for n in PARTITIONS})
    item_partials: list[Record] = field(default_factory=list)
    item_features: list[Record] = field(default_factory=list)
    dead_letters: list[tuple[int, int]] = field(default_factory=list)
    users: dict[str, bytes] = field(default_factory=dict)
    commits: dict[int, bytes] = field(default_factory=dict)
    # By user and name of a list: the time in seconds of each item's newest entry.
    lists: dict[tuple[str, str], dict[int, int]] = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """Rows of merged entities that were sent so far."""
        return len(self.item_partials) + len(self.item_features)


class SimulatedWorker:
    """`stream/worker.py` and `stream/delivery.py` over a `World`; `write` is called before
    each write and may raise."""

    def __init__(
        self,
        world: World,
        random: Random,
        write: Callable[[], None],
        own: tuple[int, ...] = PARTITIONS,
    ) -> None:
        self._world, self._random, self._write = world, random, write
        self._merged = MergedState(item_of, bounds=BOUNDS)
        self._owner = _Owner(world, self._merged, own)
        owned = self._owner.start(own)
        self._waiting: list[Send] = list(self._writes({}, owned, Gone()))
        self._partitions = {number: self._partition(number) for number in own}

    def step(self, now_ms: int) -> bool:
        """Take in some of what arrived, while what was taken in before is delivered: that is over
        before or after, as it happens. False when there was nothing left, and nothing to tell."""
        num_rows = self._world.num_rows
        if self._random.random() < 0.5:
            self._deliver()
        owned = self._owner.poll(now_ms)
        all_effects: dict[int, Effects] = {}
        some = False
        for number, partition in self._partitions.items():
            waiting = self._world.log[number][partition.commit.offset :]
            arrived = list(itertools.takewhile(lambda record: record.arrival_ms <= now_ms, waiting))
            decoded = decode_records(arrived[: self._random.randint(0, 5)], now_ms)
            some = some or bool(arrived)
            if arrived and not decoded:
                continue  # the poll brought records of another partition only
            self._load_users(partition, decoded)
            all_effects[number] = partition.process(decoded, now_ms)
        self._deliver()
        gone = self._owner.end_step(now_ms)
        self._waiting = list(self._writes(all_effects, owned, gone))
        if not some:
            self._deliver()
        return some or self._world.num_rows > num_rows

    def _writes(self, all_effects: dict[int, Effects], owned: Owned, gone: Gone) -> Iterator[Send]:
        """What is to be delivered, in this order."""
        yield from (*self._labelled(all_effects), *self._partials(all_effects, gone))
        yield from self._merged_rows(owned, gone)
        rows = [row for effects in all_effects.values() for row in _rows(*effects.changed.users)]
        for user_id, row in self._random.sample(rows, len(rows)):
            yield bind(self._world.users.update, {user_id: row})
        for effects in all_effects.values():
            for seen in effects.changed.seen:
                for user_id, entries in zip(seen.user_ids, seen.payloads, strict=True):
                    yield bind(self._put_to_front, (user_id, seen.name), entries)
        if all_effects:
            commits = {n: msgspec.json.encode(part.commit) for n, part in self._partitions.items()}
            yield bind(self._world.commits.update, commits)

    def _put_to_front(self, of: tuple[str, str], entries: bytes) -> None:
        """What Redis does to a list that is shorter than it may be."""
        new = dict(reversed(decode_items(entries).tolist()))
        before = self._world.lists.get(of, {})
        self._world.lists[of] = {**new, **{k: v for k, v in before.items() if k not in new}}

    def _deliver(self) -> None:
        for write in self._waiting:
            self._write()
            write()
        self._waiting = []

    def _partition(self, number: int) -> Partition:
        payload = self._world.commits.get(number)
        commit = msgspec.json.decode(payload, type=Commit) if payload else Commit()
        partition = Partition(number, commit, self._merged, RULES)
        before = self._world.log[number][partition.warm_up_from : commit.offset]
        decoded = decode_records(before, before[-1].arrival_ms if before else 0)
        self._load_users(partition, decoded)
        partition.warm_up(decoded)
        assert not partition.num_lost, "no crash lets a row seem lost"
        return partition

    def _load_users(self, partition: Partition, decoded: Sequence[Decoded]) -> None:
        missing = partition.missing_users(decoded)
        stored = [self._world.users.get(user_id) for user_id in missing]
        partition.add_users(missing, stored, [()] * len(missing))
        assert not partition.num_lost, "no crash lets a row seem lost"

    def _labelled(self, all_effects: dict[int, Effects]) -> Iterator[Send]:
        """Dead letters and samples: all of them are there before the first partial state is."""
        queues: list[list[Send]] = []
        for number, effects in all_effects.items():
            letters = [(number, letter.record.offset) for letter in effects.dead_letters]
            samples = [*sample.encode_batches(effects.samples)]
            queues.append([bind(self._world.dead_letters.append, one) for one in letters])
            queues.append([bind(self._world.samples[number].append, one) for one in samples])
        return self._in_some_order(queues)

    def _partials(self, all_effects: dict[int, Effects], gone: Gone) -> Iterator[Send]:
        """The partial rows that each partition changed, and then which are forgotten."""
        queues: dict[int, list[Send]] = {number: [] for number in PARTITIONS}
        append = self._world.item_partials.append
        for effects in all_effects.values():
            for about, row in partial_messages(effects.changed.partials):
                number = owner_of(about.entity_id, len(PARTITIONS))
                queues[number].append(bind(append, Record(number, 0, 0, about.encoded(), row)))
        for number, row_key in gone.partials:
            queues[number].append(bind(append, Record(number, 0, 0, row_key, b"")))
        return self._in_some_order(list(queues.values()))

    def _merged_rows(self, owned: Owned, gone: Gone) -> Iterator[Send]:
        """The merged rows that are published, and then which are forgotten."""
        queues: dict[int, list[Send]] = {number: [] for number in PARTITIONS}
        append = self._world.item_features.append
        for one in owned.published:
            for about, row in merged_messages(one.layout, one.ids, one.rows):
                record = Record(one.partition, 0, 0, about.encoded(), row)
                queues[one.partition].append(bind(append, record))
        for number, layout, ids in gone.merged:
            for entity_id in ids:
                row_key = RowKey(layout.entity, entity_id).encoded()
                queues[number].append(bind(append, Record(number, 0, 0, row_key, b"")))
        return self._in_some_order(list(queues.values()))

    def _in_some_order(self, queues: list[list[Send]]) -> Iterator[Send]:
        """An order that keeps that of each topic's partition, and no other."""
        while any(queues):
            yield self._random.choice([queue for queue in queues if queue]).pop(0)


class _Owner(ItemOwner):
    """The owner of items of a worker, over a `World`."""

    def __init__(self, world: World, merged: MergedState, own: tuple[int, ...]) -> None:
        settings = config.load({"HEADRACE_NUM_PARTITIONS": str(len(PARTITIONS))})
        ownership = Ownership(frozenset(own), len(PARTITIONS))
        decoder = RowDecoder(MERGED, nothing_described, Skipped())
        super().__init__(settings, LogIdentity(""), ownership, merged, decoder)
        self._topics_of = {
            self._topics.item_partials: world.item_partials,
            self._topics.item_features: world.item_features,
        }

    def _reader(self, topic: str, numbers: Collection[int]) -> Any:
        return _Reader(self._topics_of[topic], numbers)


class _Reader:
    """A reader of some partitions of a topic in memory."""

    def __init__(self, topic: list[Record], numbers: Collection[int]) -> None:
        self._topic, self._numbers, self._num_read = topic, numbers, 0

    def poll(self, timeout_ms: int = 0) -> list[Record]:
        new, self._num_read = self._topic[self._num_read :], len(self._topic)
        return [record for record in new if record.partition in self._numbers]

    def read_to_end(self) -> Iterator[list[Record]]:
        yield self.poll()

    def close(self) -> None:
        pass


def item_of(item_id: str) -> Item | None:
    """Each item is its own category, if it is in the catalogue."""
    return None if item_id.startswith(UNKNOWN) else Item(item_id, categories=(item_id,))


def _rows(ids: list[str], rows: Rows) -> Iterator[tuple[str, bytes]]:
    return zip(ids, encode_rows(rows), strict=True)


def crashing_after(num_writes: int) -> Callable[[], None]:
    """A `write` that dies at the write after so many."""
    left = itertools.count(num_writes, -1)

    def write() -> None:
        if next(left) <= 0:
            raise Crash

    return write


def run(
    world: World,
    random: Random,
    start_ms: int,
    crash_every: int,
    workers: tuple[tuple[int, ...], ...] = (PARTITIONS,),
) -> int:
    """Work through the log with a crash every so many writes of a worker or fewer; returns their
    number. Workers have these partitions each."""
    now_ms, num_crashes, num_idle = start_ms, 0, dict.fromkeys(workers, 0)
    end_ms = max(record.arrival_ms for records in world.log.values() for record in records)
    running: dict[tuple[int, ...], SimulatedWorker] = {}
    while min(num_idle.values()) < 2:
        own = random.choice(workers)
        try:
            if own not in running:
                calm = now_ms > end_ms + 3 * WINDOW_MS
                budget = 10**9 if calm else random.randint(1, crash_every)
                running[own] = SimulatedWorker(world, random, crashing_after(budget), own)
            is_idle = not running[own].step(now_ms) and now_ms > end_ms + 5 * WINDOW_MS
        except Crash:
            running.pop(own, None)
            num_crashes, is_idle = num_crashes + 1, False
        num_idle = {**num_idle, own: num_idle[own] + 1} if is_idle else dict.fromkeys(workers, 0)
        now_ms += random.choice([0, 1, 50, 300, random.randint(0, 3 * WINDOW_MS)])
        now_ms += TELL_EVERY_MS if now_ms > end_ms + 5 * WINDOW_MS else 0
    return num_crashes
