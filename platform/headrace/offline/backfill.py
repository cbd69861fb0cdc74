"""A backfill: the feature rows of a period computed anew from events, by the stream's own code.

In two steps, each in parallel: every partition's events make its users' rows and its partial rows
of merged entities; then the partial rows of each shard of entities are merged, in the order of
their times. All of it goes to a folder beside the logs first, so that a backfill that dies changes
nothing; `publish` then puts the new files into the logs and takes the period's old rows out of the
others.

    S rows of merged entities, a partial row each
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalogue.files import read_items
from headrace.errors import InvalidEvent, ServiceError
from headrace.event import Event
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.numbers_message import numbered
from headrace.features.rows.state_row import Rows, blank_rows, decode_rows
from headrace.features.surface_trends import UNVIEWED
from headrace.features.table import LAYOUTS, SHARED_LAYOUTS, USER_LAYOUT
from headrace.keys import key
from headrace.offline.folder import between, by_date, replace_files
from headrace.offline.period import Period
from headrace.offline.sources import Source
from headrace.offline.start_state import START_PARTITION, read_start_state, row_table, rows_of
from headrace.offline.tables import rows_table
from headrace.paths import FEATURE_ROWS
from headrace.stream.step.batch_path import BatchPath, StartState
from headrace.stream.step.intake import IntakeRules, decode_records
from headrace.stream.step.partition import PartitionSettings

EVENTS_PER_STEP: Final = 1_000  # of which the users get every row, and merged entities the last
NEVER_MS: Final = 1 << 62

ROWS: Final = "rows"  # folders of the scratch folder
PARTIALS: Final = "partials"
STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill job: its source, rules and period; it can be sent to other processes."""

    source: Source
    offline: Path  # the offline store's folder
    catalogue: Path
    rules: PartitionSettings
    period: Period
    run: int  # in the names of the new files
    num_shards: int  # into how many parts the merged entities are divided
    intake: IntakeRules = IntakeRules()
    now_ms: int = NEVER_MS  # when it began: what arrived later has a clock that is wrong

    @property
    def scratch(self) -> Path:
        """Where everything lies until it is published."""
        return self.offline / f".backfill-{self.run}"

    def replay(self, partition: int) -> Iterator[int]:
        """Step one for one partition; yields the number of events taken in so far."""
        items, start = read_items(self.catalogue), read_start_state(self.offline)
        path = BatchPath(items.get, self.rules, start)
        num_events = num_steps = 0
        for records in self.source.read(partition):
            for first in range(0, len(records), EVENTS_PER_STEP):
                step = records[first : first + EVENTS_PER_STEP]
                num_events += len(step)
                every = decode_records(step, self.now_ms, self.intake)
                decoded = [one for one in every if self._counts(one.event)]
                if decoded:
                    changed = path.process(partition, decoded, NEVER_MS).changed
                    self._write_rows(USER_LAYOUT, partition, num_steps, *changed.history)
                    self._write_partials(changed.partials, f"p{partition}-{num_steps}")
                    num_steps += 1
            yield num_events
        users = {id_: row for id_, row in path.user_rows.items() if start.users.get(id_) != row}
        rows = decode_rows(list(users.values()), USER_LAYOUT)
        self._write_state(USER_LAYOUT, partition, list(users), rows)

    def merge(self, shard: int) -> None:
        """Step two for one shard of the merged entities."""
        for layout in SHARED_LAYOUTS:
            folder = self.scratch / PARTIALS / layout.entity / f"shard={shard}"
            ids, rows_S = rows_of(layout, sorted(folder.glob("*.parquet")))
            if not ids:
                continue
            distinct, entity_S = np.unique(np.array(ids, dtype=object), return_inverse=True)
            order = np.lexsort((rows_S["position"], rows_S["event_time_ms"], entity_S))
            entity_S, rows_S = entity_S[order], rows_S[order]
            merged_S = _merged_over_time(layout, entity_S, rows_S)
            of_rows = [str(distinct[number]) for number in entity_S]
            self._write_rows(layout, shard, 0, of_rows, merged_S)
            is_last_S = np.diff(entity_S, append=-1) != 0
            self._write_state(layout, shard, list(map(str, distinct)), merged_S[is_last_S])

    def publish(self) -> int:
        """Replace the period's rows in the logs by the new ones; returns how many these are."""
        num_rows, new_paths = 0, set()
        for part in sorted((self.scratch / ROWS).rglob("*.parquet")):
            path = self.offline / FEATURE_ROWS / part.relative_to(self.scratch / ROWS)
            path.parent.mkdir(parents=True, exist_ok=True)
            num_rows += pq.read_metadata(part).num_rows
            os.replace(part, path)
            new_paths.add(path)
        for layout in LAYOUTS:
            for path in (self.offline / FEATURE_ROWS / layout.entity).rglob("*.parquet"):
                if path not in new_paths:
                    _take_out(path, self.period)
        return num_rows

    def clear(self) -> None:
        """Delete the scratch folder, with everything that was not published."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def start_from(self, start: StartState) -> None:
        """Let the merged rows begin with those that the namespace began with."""
        self._write_partials(start.partials, "start")

    def _counts(self, event: Event | InvalidEvent) -> bool:
        """Whether an event is from before the end of the period."""
        to_ms = self.period.to_ms
        return to_ms is None or isinstance(event, InvalidEvent) or event.event_time_ms < to_ms

    def _write_rows(
        self, layout: Layout, number: int, step: int, ids: Sequence[str], rows: Rows
    ) -> None:
        if not ids:
            return
        table = rows_table(layout, numbered(layout, number, ids, rows))
        table = between(table, self.period.from_ms, self.period.to_ms)
        name = f"backfill-{self.run}-p{number}-{step}.parquet"
        folder = self.scratch / ROWS / layout.entity
        replace_files({folder / date / name: rows for date, rows in by_date(table).items()})

    def _write_partials(self, changed: Mapping[str, tuple[Sequence[str], Rows]], name: str) -> None:
        for entity, (ids, rows) in changed.items():
            if entity in (layout.entity for layout in UNVIEWED):
                continue
            shard_S = np.array([key(id_) % self.num_shards for id_ in ids], np.int64)
            for shard in np.unique(shard_S):
                taken = np.flatnonzero(shard_S == shard)
                folder = self.scratch / PARTIALS / entity / f"shard={shard}"
                table = row_table([ids[place] for place in taken.tolist()], rows[taken])
                folder.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, folder / f"{name}.parquet")

    def _write_state(self, layout: Layout, number: int, ids: Sequence[str], rows: Rows) -> None:
        """The last rows, as those of no partition of the stream's: it counts all of its events."""
        rows["partition"] = START_PARTITION
        path = self.scratch / STATE / layout.entity / f"{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(row_table(ids, rows), path, compression="zstd")


@contextmanager
def one_at_a_time(offline: Path) -> Iterator[None]:
    """The exclusive lock on a folder's backfills; the leftovers of one that died are deleted."""
    offline.mkdir(parents=True, exist_ok=True)
    with (offline / ".backfill.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServiceError(f"another backfill runs in {offline}: wait for its end") from None
        for leftover in offline.glob(".backfill-*"):
            shutil.rmtree(leftover)
        yield


def _merged_over_time(layout: Layout, entity_S: Ints, rows_S: Rows) -> Rows:
    """[S]: at each row, the merge of its entity's newest row per partition; sorted by entity."""
    merged_S = blank_rows(layout, len(rows_S))
    place_S = np.arange(len(rows_S))
    first_S = np.searchsorted(entity_S, entity_S)
    for partition in np.unique(rows_S["partition"]):
        newest_S = np.maximum.accumulate(np.where(rows_S["partition"] == partition, place_S, -1))
        has = np.flatnonzero(newest_S >= first_S)
        other = rows_S[newest_S[has]]
        state = merged_S["state"][has]
        layout.merge(state, other["state"])
        merged_S["state"][has] = state
        merged_S["position"][has] += other["position"] + 1
    merged_S["event_time_ms"] = rows_S["event_time_ms"]
    return merged_S


def _take_out(path: Path, period: Period) -> None:
    """Take a period's rows out of a file; the archive's keep their names, which say where it is."""
    with pq.ParquetFile(path) as file:
        table = file.read()
    none = table.slice(0, 0)
    before = none if period.from_ms is None else between(table, None, period.from_ms)
    after = none if period.to_ms is None else between(table, period.to_ms, None)
    left = pa.concat_tables([before, after])
    if len(left) < len(table):
        replace_files({path: left})
