"""`headrace features parity`: archived and online features against a replay of the archived events.

The replay is the batch path, from the first event (and the state the namespace started with) on, so
what it has for a request is the point-in-time value. Compared with it are, each on its own:

    as of            features that the stream attached to requests of which none were served
    as of, lagging   the same of items, where there are several partitions: what a worker knew of
                     the others' events was what it had read of them
    as of, unknown   the same of items in no catalogue, which the stream forgets after a while
    served           features that serving attached to what it answered
    online user ...  rows in the online store that include the same events

What must agree is `as of` and the online rows; the others are behind by as much as they say.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from redis import Redis
from rich.console import Console

from headrace import config
from headrace.broker.record import Record
from headrace.catalogue.files import read_items, read_users
from headrace.clock import now_ms
from headrace.event import ImpressionEvent
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Layout
from headrace.features.checks.parity import TOLD, Parity
from headrace.features.inputs import DENSE_NAMES, OF_SHARED
from headrace.features.online.store import OnlineStore
from headrace.features.rows.bounds import Bounds
from headrace.features.rows.state_row import Rows, decode_rows
from headrace.features.served import as_served
from headrace.features.serving_key import ServingKey
from headrace.features.table import CAMPAIGN_LAYOUT, ITEM_LAYOUT, SHARED_LAYOUTS, USER_LAYOUT
from headrace.keys import key
from headrace.offline.archived_samples import Features, read_samples
from headrace.offline.parity_report import (
    AS_OF,
    LAGGING,
    NOT_JUDGED,
    SERVED,
    UNKNOWN,
    WIDTH,
    document_of,
    tables_of,
)
from headrace.offline.period import Period
from headrace.offline.sources import Source, archived_events
from headrace.offline.start_state import read_start_state
from headrace.paths import offline_path
from headrace.positions.store import CommitStore
from headrace.sample import Sample
from headrace.services.redis import check_redis
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded, IntakeRules, decode_records
from headrace.stream.step.partition import PartitionSettings

RECORDS_PER_STEP: Final = 2_000
ROWS_PER_READ: Final = 2_000


_ITEM_NAMES: Final = {DENSE_NAMES[place] for place in OF_SHARED}


def run(settings: config.Settings, period: Period, json_path: Path | None) -> int:
    """Compare, show a table, and write the result as JSON; returns 1 if a required match fails."""
    check_redis(settings.redis_url)
    source = archived_events(settings)
    check = ParityCheck(settings, source, period)
    check.replay()
    if period.to_ms is None:
        check.compare_online()
    console = Console(width=WIDTH)
    for table in tables_of(check.parity):
        console.print(table)
    for note in check.notes():
        console.print(note, highlight=False)
    broken = check.broken()
    for name in broken:
        console.print(f"differs: {name}", highlight=False)
    if json_path:
        json_path.write_bytes(
            msgspec.json.format(msgspec.json.encode(document_of(check.parity, _counts(check))))
            + b"\n"
        )
    return 1 if broken else 0


class ParityCheck:
    """One comparison of a namespace's archive with its replay."""

    def __init__(self, settings: config.Settings, source: Source, period: Period) -> None:
        self.parity, self._settings, self._source = Parity(), settings, source
        self._period = period
        items = read_items(config.catalogue_path(settings))
        self._item_ids = items.keys()
        self._item_keys = np.array([key(item_id) for item_id in items], np.int64)
        start = read_start_state(offline_path(settings))
        self._path = BatchPath(items.get, PartitionSettings.of(settings, item_ids=items), start)
        redis = Redis.from_url(settings.redis_url)
        self._rules = IntakeRules.of(settings, ServingKey.of(redis, settings.namespace))
        self._archived = read_samples(settings, period)
        self._served: set[tuple[int, int]] = set()  # partition and offset
        self._began_ms = now_ms()
        self.num_not_archived = self.num_of_other_tables = self.num_elsewhere = 0
        self.num_forgotten = 0

    def replay(self) -> None:
        """Take in all archived events in the order of their arrival, and compare the samples."""
        streams = [self._in_order(partition) for partition in self._source.partitions()]
        waiting: list[Record] = []
        for record in heapq.merge(*streams, key=lambda record: record.arrival_ms):
            self._began_ms = min(self._began_ms, record.arrival_ms)
            waiting.append(record)
            if len(waiting) == RECORDS_PER_STEP:
                self._process(waiting)
                waiting = []
        self._process(waiting)
        for partition in self._source.partitions():
            self._compare(self._path.process(partition, (), now_ms()).samples)
        self._count_extra()

    def compare_online(self) -> None:
        """Compare the rows of the online store that include the same events, but for those of
        entities in no catalogue that the stream may have forgotten."""
        store = OnlineStore(self._settings)
        ids = self._lasting(USER_LAYOUT, sorted(self._path.user_rows))
        rows = decode_rows([self._path.user_rows[id_] for id_ in ids], USER_LAYOUT)
        self._compare_rows(store, USER_LAYOUT, ids, rows)
        for layout in SHARED_LAYOUTS:
            table = self._path.merged.tables[layout.entity]
            ids = self._lasting(layout, table.ids)
            self._compare_rows(store, layout, ids, table.merged(table.find(ids)))

    def broken(self) -> list[str]:
        """The features that differ where they must not."""
        return [
            f"{group}: {name}"
            for group, of_group in self.parity.groups.items()
            for name, agreement in of_group.items()
            if group not in NOT_JUDGED and agreement.is_broken
        ]

    def notes(self) -> Iterator[str]:
        """The comparisons left out, with the reasons, one line each."""
        if self.num_not_archived:
            yield f"{self.num_not_archived} requests: their samples are not archived yet"
        if self.num_of_other_tables:
            yield f"{self.num_of_other_tables} requests: another feature table made their samples"
        if num := self._archived.num_drawn_otherwise:
            yield f"{num} requests: what was drawn then is not what is drawn from this catalogue"
        if self.num_elsewhere:
            yield f"{self.num_elsewhere} online rows: they include other events than the archive"
        if self.num_forgotten:
            yield f"{self.num_forgotten} entities in no catalogue: their rows online may have ended"

    def _lasting(self, layout: Layout, ids: Sequence[str]) -> Sequence[str]:
        """The entities whose rows are kept for ever, or have been since the log began."""
        lasted_s, stream = (now_ms() - self._began_ms) / 1_000, self._settings.stream
        if layout is ITEM_LAYOUT:
            lasting: Sequence[str] = [item_id for item_id in ids if item_id in self._item_ids]
        elif layout is USER_LAYOUT and lasted_s >= stream.unknown_user_ttl_s:
            users = read_users(config.catalogue_path(self._settings))
            lasting = [user_id for user_id in ids if user_id in users]
        elif layout is CAMPAIGN_LAYOUT and (
            lasted_s >= stream.unknown_campaign_ttl_s or len(ids) > stream.max_unknown_campaigns
        ):
            known = Bounds.of(self._settings).known_campaigns
            lasting = [campaign_id for campaign_id in ids if campaign_id in known]
        else:
            lasting = ids
        self.num_forgotten += len(ids) - len(lasting)
        return lasting

    def _in_order(self, partition: int) -> Iterator[Record]:
        return (record for records in self._source.read(partition) for record in records)

    def _process(self, records: Sequence[Record]) -> None:
        by_partition: dict[int, list[Record]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        for partition, of_partition in by_partition.items():
            every = decode_records(of_partition, now_ms(), self._rules)
            decoded = [self._unserved(one) for one in every]
            self._compare(self._path.process(partition, decoded, now_ms()).samples)

    def _unserved(self, decoded: Decoded) -> Decoded:
        """Without the features that serving attached: the batch path makes its own."""
        event = decoded.event
        if not isinstance(event, ImpressionEvent) or event.served is None:
            return decoded
        if as_served(event.served, len(event.items)) is not None:
            self._served.add((decoded.record.partition, decoded.record.offset))
        return Decoded(decoded.record, msgspec.structs.replace(event, served=None))

    def _compare(self, samples: Sequence[Sample]) -> None:
        compared: dict[str, list[tuple[Features, Features, Ints]]] = {AS_OF: [], SERVED: []}
        for sample in samples:
            if not _inside(sample.event_time_ms, self._period):
                continue
            came_from = (sample.source_partition, sample.source_offset)
            group = SERVED if came_from in self._served else AS_OF
            archived = self._archived.take(sample)
            if archived is not None:
                compared[group].append(archived)
            elif self._archived.may_come(sample):
                self.num_not_archived += 1
            elif self._archived.is_of_another_table(sample):
                self.num_of_other_tables += 1
            else:
                self.parity.count(group, DENSE_NAMES, missing=sample.num_impressions)
        for group, of_group in compared.items():
            if of_group:
                self._compare_features(group, *zip(*of_group, strict=True))

    def _compare_features(
        self,
        group: str,
        found: Sequence[Features],
        expected: Sequence[Features],
        item_keys: Sequence[Ints],
    ) -> None:
        several = len(self._source.partitions()) > 1
        found_NF, expected_NF = (
            np.concatenate([d for d, *_ in side]) for side in (found, expected)
        )
        known_N = np.isin(np.concatenate(item_keys), self._item_keys)
        every_N = np.ones(len(known_N), bool)
        for place, name in enumerate(DENSE_NAMES):
            parts = {group: every_N}
            if group == AS_OF and name in _ITEM_NAMES:
                parts = {LAGGING if several else AS_OF: known_N, UNKNOWN: ~known_N}
            for part, in_N in parts.items():
                if in_N.any():
                    self.parity.add(part, name, found_NF[in_N, place], expected_NF[in_N, place])
        histories = (np.stack([history for _, history, _ in side]) for side in (found, expected))
        self.parity.add(group, "user_history", *histories)
        words = (np.stack([word_W for *_, word_W in side]) for side in (found, expected))
        self.parity.add_table(group, TOLD, *words)

    def _count_extra(self) -> None:
        for _ in self._archived.row_of:
            self.parity.count(AS_OF, DENSE_NAMES, extra=1)

    def _compare_rows(
        self, store: OnlineStore, layout: Layout, ids: Sequence[str], expected: Rows
    ) -> None:
        commits = CommitStore(Redis.from_url(self._settings.redis_url), self._settings.namespace)
        done = {partition: commit.offset for partition, commit in commits.read_all().items()}
        group, names = f"online {layout.entity}", [feature.name for feature in layout.features]
        for start in range(0, len(ids), ROWS_PER_READ):
            rows = expected[start : start + ROWS_PER_READ]
            payloads = store.read_rows(layout, ids[start : start + ROWS_PER_READ])
            has = np.array([payload is not None for payload in payloads], bool)
            stored = decode_rows([payload for payload in payloads if payload], layout)
            same = stored["position"] == rows["position"][has]
            self.parity.add_rows(group, layout, stored[same], rows[has][same])
            self.num_elsewhere += int((~same).sum())
            committed = [row["position"] < done.get(int(row["partition"]), 0) for row in rows[~has]]
            self.parity.count(group, names, missing=sum(committed))


def _inside(time_ms: int, period: Period) -> bool:
    after = period.from_ms is None or time_ms >= period.from_ms
    return after and (period.to_ms is None or time_ms < period.to_ms)


def _counts(check: ParityCheck) -> dict[str, Any]:
    return {
        "differs": check.broken(),
        "not_archived_yet": check.num_not_archived,
        "online_rows_elsewhere": check.num_elsewhere,
    }
