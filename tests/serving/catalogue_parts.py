"""The processes of the benchmark named catalogue; each prints its figures as a line of JSON."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.catalogue_log import items_of, write_items
from headrace.api.slate import RecommendRequest
from headrace.broker.record import Record
from headrace.catalogue.content_index import ContentIndex
from headrace.catalogue.table.shared import SNAPSHOT_FILE, open_items
from headrace.catalogue.table.table import REUSE_AFTER_MS, ItemTable
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import NUM_DENSE
from headrace.features.rows.bounds import Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.messages.merged_rows import MergedRows, NewRows
from headrace.features.rows.messages.ownership import Ownership
from headrace.features.rows.messages.row_messages import (
    MERGED,
    RowDecoder,
    merged_messages,
    partial_messages,
)
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import Rows, blank_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.store.last_items import Entries
from headrace.features.table import ITEM, ITEM_LAYOUT, LATELY
from headrace.model.calibration import make_calibration
from headrace.model.config import nano
from headrace.model.ranker import Ranker
from headrace.registry.manifest import Manifest
from headrace.settings.rooms import StreamSettings
from headrace.skipped import Skipped
from headrace.slates.cached_items import CachedItems
from headrace.stream.memory import give_back
from serving.app import Gateway as _imported  # noqa: F401  # a replica has all of it
from serving.recommend import Recommender
from serving.replica.item_states import ItemStates
from serving.replica.models import LiveModel
from serving.replica.snapshot import Snapshot
from serving.stages.hydrate import Hydrate

WITH_STATES: Final = 0.1  # of the items of a replica
STEP: Final = 10_000  # items or records at once
WORKERS: Final = {"worker": 1, "worker_of_two": 2}  # partitions, one of which is the worker's
REQUESTS: Final = 200
REQUESTS_PER_S, UPDATES_PER_S, UPDATES_AT_ONCE = 20, 1_000, 200
ROUND_S, ROUNDS = 10.0, 4  # with updates and without, in turn


@dataclass(frozen=True)
class Strangers:
    """An online store that knows nobody."""

    rows: tuple[None, ...] = (None,)
    attributes: tuple[tuple[str, ...], ...] = ((),)

    @property
    def lists(self) -> dict[str, tuple[Entries, ...]]:
        """Nobody has any."""
        return {}

    def read_users(self, user_ids: Sequence[str], lists: Sequence[str] = ()) -> Strangers:
        """One whom nothing is known of."""
        return self


class Replica:
    """What a replica has in memory, without the servers that it asks."""

    def __init__(self, table: ItemTable) -> None:
        self.table, self.content = table, ContentTable(table)
        self.states = ItemStates(table, merged_rows(), now_ms)
        self.model = self._model()
        self.recommender = Recommender(Hydrate(Strangers()), table, 500)

    def slate_s(self) -> float:
        """The seconds of one slate."""
        began_s = time.perf_counter()
        snapshot = Snapshot((self.model,), self.states.states, self.states.trending_rows)
        request = RecommendRequest("ann", num_items=10)
        slate, _ = self.recommender.recommend(request, snapshot, now_ms())
        assert len(slate.items) == 10 and not slate.degraded, slate
        return time.perf_counter() - began_s

    def follow(self, put: Sequence[Any], removed: Sequence[str]) -> None:
        """Take in items that came, changed or went."""
        removed_rows = self.table.remove(removed, now_ms())
        put_rows = self.table.put(put, now_ms())
        self.model.follow_items(self.table.keys(put_rows), removed_rows[:0])
        self.states.follow_items(put_rows, removed_rows)

    def _model(self) -> LiveModel:
        config = nano(NUM_DENSE)
        manifest = Manifest(
            version=1,
            uri="",
            sha256="",
            created_ms=now_ms(),
            schema=INPUT_SCHEMA,
            model=config,
            num_samples=0,
            newest_event_ms=0,
        )
        ranker = Ranker(config).eval()
        items = CachedItems(ranker, self.content, self.table.keys)
        weight_J = np.ones(len(config.scalar_heads), np.float32)
        return LiveModel(manifest, ranker, make_calibration(config), items, weight_J)


def write(folder: str, num_items: str) -> None:
    """The items' file, and the snapshot made of it."""
    write_items(Path(folder), int(num_items))
    began_s = time.monotonic()
    open_items(Path(folder))
    size = (Path(folder) / SNAPSHOT_FILE).stat().st_size
    say({"snapshot_s_1m": time.monotonic() - began_s, "snapshot_mb_1m": size / 1e6})


def replica(folder: str) -> None:
    """The start and the memory of a replica; its memory again for each line that is read."""
    began_s, imported_mb = float(sys.argv[1]), memory_mb()
    table = open_items(Path(folder))
    table_mb = memory_mb()
    made = Replica(table)
    made.slate_s()
    start_s = time.time() - began_s
    give_states(made.states, table, int(WITH_STATES * len(table)))
    states_mb = memory_mb()
    keys = table.keys(table.rows())
    content = ContentIndex(made.content, keys, Path(folder) / "indexes")
    vectors_mb = memory_mb()
    for number in range(REQUESTS):
        made.slate_s()
        content.index.nearest(content.vectors(keys[number : number + 1])[0], 500)
    names = ("imported", "table", "states", "vectors")
    parts_mb = dict(zip(names, (imported_mb, table_mb, states_mb, vectors_mb), strict=True))
    say({"start_s": start_s, "mb": memory_mb(), "parts_mb": parts_mb})
    for _ in sys.stdin:
        say({"mb": memory_mb()})


def updates(folder: str) -> None:
    """p99 of requests with updates over p99 without, in turn."""
    made = Replica(open_items(Path(folder)))
    give_states(made.states, made.table, int(WITH_STATES * len(made.table)))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    changed = 0
    for turn in range(2 * ROUNDS):
        ended = threading.Event()
        thread = threading.Thread(target=_update, args=(made, ended))
        if turn % 2:
            thread.start()
        began_s = time.monotonic()
        for number in range(int(ROUND_S * REQUESTS_PER_S)):
            time.sleep(max(0.0, began_s + number / REQUESTS_PER_S - time.monotonic()))
            seconds[bool(turn % 2)].append(made.slate_s())
        ended.set()
        if turn % 2:
            thread.join()
            changed += 1
    p99_ms, with_ms = (1e3 * float(np.quantile(seconds[one], 0.99)) for one in (False, True))
    medians = {f"p50_ms_{one}": 1e3 * float(np.median(seconds[one])) for one in (False, True)}
    say({"p99_with_updates": with_ms / p99_ms, "p99_ms": [p99_ms, with_ms], **medians})


def _update(made: Replica, ended: threading.Event) -> None:
    """Change items at their pace."""
    draw, began_s, number = np.random.default_rng(0), time.monotonic(), 0
    while not ended.is_set():
        some = draw.integers(0, len(made.table), UPDATES_AT_ONCE).tolist()
        made.follow([next(items_of(one, 1)) for one in some], [])
        number += UPDATES_AT_ONCE
        time.sleep(max(0.0, began_s + number / UPDATES_PER_S - time.monotonic()))


def bytes_of(who: str, num_items: str, churn: str) -> None:
    """Memory of an item that has a state, at first and while others come in its place; what of it
    is the table of items, which processes of a node map together."""
    num, taken, clock = int(num_items), ItemTable(), [0]
    before_mb, found = memory_mb(), {}
    follower = _Follower(taken, who, lambda: clock[0])
    for start in range(0, num + int(churn), STEP):
        clock[0] += REUSE_AFTER_MS
        gone = [f"item-{n}" for n in range(start - num, start - num + STEP)] if start >= num else []
        follower.take(list(items_of(start, STEP)), gone, clock[0])
        if start + STEP == num:
            found["full"] = 1e6 * (memory_mb() - before_mb) / num
            found["table"] = taken.num_bytes / num
        elif start + STEP > num and (start + STEP - num) % (int(churn) // 4) == 0:
            found[f"after_{start + STEP - num}"] = 1e6 * (memory_mb() - before_mb) / num
    say(found)


class _Follower:
    """The memory of a replica, or of a worker of one of so many partitions that all speak of every
    item, that follows items and their states."""

    def __init__(self, table: ItemTable, who: str, clock: Any) -> None:
        self._table, self._num_partitions = table, WORKERS.get(who, 0)
        self._states = None if who in WORKERS else ItemStates(table, merged_rows(), clock)
        share = Share(StreamSettings().max_unknown_items, REUSE_AFTER_MS)
        self._merged = MergedState(table.get, bounds=Bounds(items=share, campaigns=share))
        if who in WORKERS:
            self._ownership = Ownership(frozenset([0]), self._num_partitions)
            self._merged.merge_only(self._ownership)

    def take(self, items: Sequence[Any], gone: Sequence[str], at_ms: int) -> None:
        """Items that came and went, and rows of those that came."""
        removed, put = self._table.remove(gone, at_ms), self._table.put(items, at_ms)
        ids = [item.item_id for item in items]
        if self._states is not None:
            self._states.follow_items(put, removed)
            self._states.take(list(records_of(ids)))
            return
        for source in range(self._num_partitions):
            self._merged.apply(list(records_of(ids, source)))
        self._merged.items.merged(self._merged.items.find(ids))
        others = [id_ for id_ in ids if not self._ownership.merges(id_)]
        left = [id_ for id_ in gone if not self._ownership.merges(id_)]
        self._merged.follow_items([*gone, *ids])
        self._merged.take_merged({ITEM: NewRows(others, rows_of(len(others), 0), left)})
        self._merged.end_step(at_ms)


def give_states(states: ItemStates, table: ItemTable, num: int) -> None:
    """Let so many items have states, as if they were read of the topic."""
    ids = islice(table.ids(), num)
    while part := list(islice(ids, STEP)):
        states.take(list(records_of(part)))


def merged_rows() -> MergedRows:
    """A reader of a topic of one partition."""
    return MergedRows(1, RowDecoder(MERGED, nothing_described, Skipped()), (ITEM,))


def records_of(item_ids: Sequence[str], source: int | None = None) -> Iterator[Record]:
    """Records with states of these items, merged ones or those of a partition."""
    rows = rows_of(len(item_ids), source or 0)
    messages = (
        merged_messages(ITEM_LAYOUT, item_ids, rows)
        if source is None
        else partial_messages({ITEM: (item_ids, rows)})
    )
    for offset, (about, value) in enumerate(messages):
        yield Record(0, offset, now_ms(), about.encoded(), value)


def rows_of(num: int, partition: int) -> Rows:
    """[num]: rows with some clicks of late."""
    rows = blank_rows(ITEM_LAYOUT, num, partition)
    lately_N = rows["state"][ITEM_LAYOUT.field_of[LATELY]]
    lately_N["newest_ms"] = now_ms()
    lately_N["sums"] = np.random.default_rng(0).integers([500, 1], [1_000, 400], (num, 2))
    rows["position"], rows["event_time_ms"] = 1, now_ms()
    return rows


def memory_mb() -> float:
    """The memory of this process (PSS): what is shared counts for each by its share."""
    gc.collect()
    give_back()  # as the processes do now and then
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("Pss:"))
    return int(line.split()[1]) / 1e3


def now_ms() -> int:
    """Now."""
    return round(1_000 * time.time())


def say(figures: dict[str, Any]) -> None:
    """A line for the process that asked."""
    print(json.dumps(figures), flush=True)


PARTS: Final[dict[str, Callable[..., None]]] = {
    "write": write,
    "replica": replica,
    "updates": updates,
    "bytes": bytes_of,
}

if __name__ == "__main__":
    PARTS[sys.argv[2]](*sys.argv[3:])
