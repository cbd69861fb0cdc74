"""The owner of items: partial rows of all partitions in, merged rows of its own entities out.

All that a merged row is made of lies in the topic `item-partials`, so a new owner reads that, and
publishes what `item-features` lacks. Partial rows are whole and know what they include: one that
comes twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

import numpy as np

from headrace.broker.reader import LogReader
from headrace.broker.topics import LogIdentity, Topics
from headrace.config import Settings
from headrace.features.rows.merged import MergedState
from headrace.features.rows.merged_table import Forgotten
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.ownership import Ownership, by_owner, owner_of
from headrace.features.rows.messages.row_messages import RowDecoder, RowKey, row_key_of
from headrace.features.table import LAYOUTS
from headrace.stream.delivery import Changed, Gone
from headrace.stream.published import Published, move_partial_rows, published_rows
from headrace.stream.step.intake import arrived_records

RECORDS_A_POLL: Final = 20_000
TELL_EVERY_MS: Final = 200  # an item that many partitions speak of is merged once then


@dataclass(frozen=True, slots=True)
class Owned:
    """Merged rows of a worker's own entities: those for the online store, and those to publish."""

    changed: list[Changed] = field(default_factory=list)
    published: list[Changed] = field(default_factory=list)


class ItemOwner:
    """Keeps `merged` as the topics say, and tells which rows of it are to be delivered."""

    def __init__(
        self,
        settings: Settings,
        log: LogIdentity,
        ownership: Ownership,
        merged: MergedState,
        decoder: RowDecoder,
    ) -> None:
        self._settings, self._log, self._ownership = settings, log, ownership
        self._topics = Topics(settings.namespace)
        self._merged, self._decoder = merged, decoder
        self._rows = MergedRows(ownership.num_partitions, decoder)
        self._partial_reader: LogReader | None = None  # of own partitions
        self._merged_reader: LogReader | None = None  # of those of others
        self._sources: frozenset[int] = frozenset()
        self._orphans: dict[str, list[str]] = {}  # published, and no partition has a row of them
        self._news: dict[str, dict[str, list[int]]] = {}  # arrival times by kind and id, untold yet
        self._told_ms = 0
        merged.merge_only(ownership)

    def start(self, sources: Collection[int]) -> Owned:
        """Read the topics up to their present ends; these partitions count from then on. All rows
        are for the store then: it is not known which of them it has."""
        own, others = self._ownership.partitions, self._ownership.others
        published = self._published(own)
        if others:
            self._read_partials(self._reader(self._topics.item_partials, others)).close()
        self._partial_reader = self._read_partials(self._reader(self._topics.item_partials, own))
        self._sources = frozenset(sources)
        self._merged.own(sources)
        if others:
            self._merged_reader = self._reader(self._topics.item_features, others)
            for records in self._merged_reader.read_to_end():
                self._merged.take_merged(self._rows.read(records))
        changed = self._owned(
            {
                entity: dict.fromkeys(table.all_ids(), ())
                for entity, table in self._merged.tables.items()
            }
        )
        for about in published.positions:
            if not self._merged.tables[about.entity].having([about.entity_id]):
                self._orphans.setdefault(about.entity, []).append(about.entity_id)
        return Owned(_stored(changed), [_news(one, published) for one in changed])

    def poll(self, now_ms: int) -> Owned:
        """The rows that changed by the messages which came since, every `TELL_EVERY_MS`."""
        if self._merged_reader:
            self._merged.take_merged(self._rows.read(self._merged_reader.poll(0)))
        polled = self._partial_reader.poll(0) if self._partial_reader else []
        arrived = arrived_records(polled, now_ms)
        self._merged.apply(arrived)
        for record in arrived:
            if about := row_key_of(record.key):
                of_kind = self._news.setdefault(about.entity, {})
                of_kind.setdefault(about.entity_id, []).append(record.arrival_ms)
        if not self._news or now_ms - self._told_ms < TELL_EVERY_MS:
            return Owned()
        self._told_ms, news, self._news = now_ms, self._news, {}
        changed = self._owned(news)
        return Owned(_stored(changed), changed)

    def tell_again(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Have the rows of these entities, by kind, delivered anew: as known ones they stay."""
        for entity, of_kind in ids.items():
            table = self._merged.tables[entity]
            has_N = table.merged(table.find(of_kind))["position"] >= 0
            for entity_id in compress(of_kind, has_N.tolist()):
                self._news.setdefault(entity, {}).setdefault(entity_id, [])

    def end_step(self, now_ms: int) -> Gone:
        """Forget unknown entities as the bounds say; returns the rows to delete of them: those
        that this worker's partitions say, and merged rows of its own."""
        forgotten = self._merged.end_step(now_ms)
        orphans, self._orphans = self._orphans, {}
        gone, num_partitions = Gone(), self._ownership.num_partitions
        for entity in forgotten.keys() | orphans.keys():
            table, of_kind = self._merged.tables[entity], forgotten.get(entity, [])
            gone.partials.extend(self._partials_of(entity, of_kind))
            ids = [one.entity_id for one in of_kind] + orphans.get(entity, [])
            mine = by_owner(table.lacking(ids), num_partitions)
            for number in self._ownership.partitions & mine.keys():
                gone.merged.append((number, table.layout, mine[number]))
        return gone

    def close(self) -> None:
        for reader in (self._partial_reader, self._merged_reader):
            if reader is not None:
                reader.close()

    def _published(self, own: Collection[int]) -> Published:
        reader = self._reader(self._topics.item_features, own)
        published = published_rows(reader, self._decoder)
        reader.close()
        move_partial_rows(self._settings, published.partials)
        return published

    def _read_partials(self, reader: LogReader) -> LogReader:
        for records in reader.read_to_end():
            self._merged.apply(records)
        return reader

    def _reader(self, topic: str, numbers: Collection[int]) -> LogReader:
        start = dict.fromkeys(numbers, 0)
        return LogReader(self._settings, topic, start, RECORDS_A_POLL, log=self._log)

    def _owned(self, news: Mapping[str, Mapping[str, Sequence[int]]]) -> list[Changed]:
        """The merged rows of those entities that are this worker's own, and the arrival times of
        the records about them."""
        owned = []
        for entity, of_kind in news.items():
            table = self._merged.tables[entity]
            mine = by_owner(table.having(of_kind), self._ownership.num_partitions)
            for number in self._ownership.partitions & mine.keys():
                arrived_ms = [ms for id_ in mine[number] for ms in of_kind[id_]]
                index_N = table.find(mine[number])
                rows = mine[number], table.merged(index_N), table.are_unknown(index_N)
                owned.append(Changed.of(number, table.layout, rows, arrived_ms))
        return owned

    def _partials_of(
        self, entity: str, forgotten: Iterable[Forgotten]
    ) -> Iterable[tuple[int, bytes]]:
        """The places and keys of this worker's partial rows of entities that were forgotten."""
        for one in forgotten:
            for source in self._sources & set(one.partitions):
                row_key = RowKey(entity, one.entity_id, source).encoded()
                yield owner_of(one.entity_id, self._ownership.num_partitions), row_key


def _stored(changed: Sequence[Changed]) -> list[Changed]:
    """Those of the rows that have a view in the online store."""
    return [one for one in changed if one.layout in LAYOUTS]


def _news(one: Changed, published: Published) -> Changed:
    """Those of the rows that are not published as they are."""
    positions = one.rows["position"].tolist()
    keys = [RowKey(one.layout.entity, entity_id) for entity_id in one.ids]
    is_new = [
        position >= 0 and published.positions.get(about) != position
        for about, position in zip(keys, positions, strict=True)
    ]
    return one.take(np.flatnonzero(is_new))
