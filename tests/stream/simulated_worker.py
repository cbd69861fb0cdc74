"""A stream worker over a log, topics and a store in memory: it can die before any of its writes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial as bind
from random import Random

import msgspec

from headrace import sample
from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.features.rows.bounds import NOTHING, Bounds, Share
from headrace.features.rows.merged import MergedState, row_key, topic_messages
from headrace.features.rows.merged_table import Forgotten
from headrace.features.rows.state_row import Rows, encode_rows
from headrace.features.store.last_items import decode_items
from headrace.features.table import ITEM
from headrace.positions.commit import Commit
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
    item_features: list[Record] = field(default_factory=list)
    dead_letters: list[tuple[int, int]] = field(default_factory=list)
    users: dict[str, bytes] = field(default_factory=dict)
    commits: dict[int, bytes] = field(default_factory=dict)
    # By user and name of a list: the time in seconds of each item's newest entry.
    lists: dict[tuple[str, str], dict[int, int]] = field(default_factory=dict)


class SimulatedWorker:
    """`stream/worker.py` and `stream/delivery.py` over a `World`; `write` is called before
    each write and may raise."""

    def __init__(self, world: World, random: Random, write: Callable[[], None]) -> None:
        self._world, self._random, self._write = world, random, write
        self._merged = MergedState(item_of, bounds=BOUNDS)
        self._num_items_read = 0
        self._waiting: list[Send] = []
        self._read_item_features()
        self._merged.own(PARTITIONS)
        self._partitions = {number: self._partition(number) for number in PARTITIONS}

    def step(self, now_ms: int) -> bool:
        """Take in some of what arrived, while what was taken in before is delivered: that is over
        before or after, as it happens. False when there was nothing left."""
        if self._random.random() < 0.5:
            self._deliver()
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
        gone = self._merged.end_step(now_ms).get(ITEM, [])
        self._waiting = list(self._writes(all_effects, gone))
        if not some:
            self._deliver()
        self._read_item_features()
        return some

    def _writes(self, all_effects: dict[int, Effects], gone: list[Forgotten]) -> Iterator[Send]:
        """What is to be delivered, in this order."""
        yield from (*self._labelled(all_effects), *self._partials(all_effects, gone))
        rows = [row for effects in all_effects.values() for row in _rows(*effects.changed.users)]
        for user_id, row in self._random.sample(rows, len(rows)):
            yield bind(self._world.users.update, {user_id: row})
        for effects in all_effects.values():
            for seen in effects.changed.seen:
                for user_id, entries in zip(seen.user_ids, seen.payloads, strict=True):
                    yield bind(self._put_to_front, (user_id, seen.name), entries)
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

    def _read_item_features(self) -> None:
        self._merged.apply(self._world.item_features[self._num_items_read :])
        self._num_items_read = len(self._world.item_features)

    def _labelled(self, all_effects: dict[int, Effects]) -> Iterator[Send]:
        """Dead letters and samples: all of them are there before the first partial state is."""
        queues: list[list[Send]] = []
        for number, effects in all_effects.items():
            letters = [(number, letter.record.offset) for letter in effects.dead_letters]
            samples = [*sample.encode_batches(effects.samples)]
            queues.append([bind(self._world.dead_letters.append, one) for one in letters])
            queues.append([bind(self._world.samples[number].append, one) for one in samples])
        return self._in_some_order(queues)

    def _partials(self, all_effects: dict[int, Effects], gone: list[Forgotten]) -> Iterator[Send]:
        queues: list[list[Send]] = []
        for number in PARTITIONS:
            changed = all_effects[number].changed.partials if number in all_effects else {}
            tombstones = [
                (row_key(ITEM, number, one.entity_id), b"")
                for one in gone
                if number in one.partitions
            ]
            partials = [
                Record(number, 0, 0, entity_key, row)
                for entity_key, row in [*topic_messages(changed), *tombstones]
            ]
            queues.append([bind(self._world.item_features.append, one) for one in partials])
        return self._in_some_order(queues)

    def _in_some_order(self, queues: list[list[Send]]) -> Iterator[Send]:
        """An order that keeps that of each topic's partition, and no other."""
        while any(queues):
            yield self._random.choice([queue for queue in queues if queue]).pop(0)


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


def run(world: World, random: Random, start_ms: int, crash_every: int) -> int:
    """Work through the log with a crash every so many writes or fewer; returns their number."""
    now_ms, num_crashes = start_ms, 0
    end_ms = max(record.arrival_ms for records in world.log.values() for record in records)
    worker: SimulatedWorker | None = None
    while True:
        try:
            if worker is None:
                calm = now_ms > end_ms + 3 * WINDOW_MS
                budget = 10**9 if calm else random.randint(1, crash_every)
                worker = SimulatedWorker(world, random, crashing_after(budget))
            if not worker.step(now_ms) and now_ms > end_ms + 5 * WINDOW_MS:
                return num_crashes
        except Crash:
            worker, num_crashes = None, num_crashes + 1
        now_ms += random.choice([0, 1, 50, 300, random.randint(0, 3 * WINDOW_MS)])
