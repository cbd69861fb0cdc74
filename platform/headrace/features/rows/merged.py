"""The merged state: items, categories and campaigns, merged over the partitions of events.

K rows
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headrace.broker.record import Record
from headrace.features.aggregation.facts import Ints
from headrace.features.companions import COMPANIONS
from headrace.features.rows.bounds import Bounds
from headrace.features.rows.item_columns import CatalogueColumns, ItemOf
from headrace.features.rows.merged_table import Forgotten, MergedTable
from headrace.features.rows.messages.merged_rows import NewRows
from headrace.features.rows.messages.ownership import Ownership
from headrace.features.rows.messages.row_messages import (
    OF_ALL,
    PARTIALS,
    SHARED,
    RowDecoder,
    RowKey,
    row_key_of,
)
from headrace.features.rows.schemas import DescriptionOf, nothing_described
from headrace.features.table import CAMPAIGN, CATEGORY, ITEM
from headrace.keys import key
from headrace.skipped import Skipped


class MergedState:
    """One table per kind of entity, and the catalogue columns of the items in it.

    Rows of feature tables that `description_of` knows are carried over to this build's. What is no
    row is passed over and counted in `skipped`. Without `bounds` every entity
    is kept.
    """

    def __init__(
        self,
        item_of: ItemOf,
        description_of: DescriptionOf = nothing_described,
        skipped: Skipped | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._decoder = RowDecoder(PARTIALS, description_of, skipped or Skipped())
        self._ownership: Ownership | None = None
        self.tables = _tables(item_of, bounds)
        self.items, self.categories = self.tables[ITEM], self.tables[CATEGORY]
        self.campaigns = self.tables[CAMPAIGN]
        self.catalogue = CatalogueColumns(item_of, self.categories.indexes)

    def apply(self, records: Iterable[Record]) -> dict[str, list[str]]:
        """Take in records of the topic `item-partials`; returns the entities that they are about,
        by kind. Each record has a kind, a partition and an id in its key, and one row as value; a
        record without a value (a tombstone) says that the partition's row is to be forgotten."""
        by_kind: dict[str, dict[str, list[tuple[RowKey, Record]]]] = {}
        for record in records:
            about = row_key_of(record.key)
            if about is None or about.source == OF_ALL:
                self._decoder.skip(record, "no key of a row", repr(record.key))
            elif self._ownership is None or self._ownership.needs(about):
                of_kind = by_kind.setdefault(about.entity, {})
                of_kind.setdefault(about.entity_id, []).append((about, record))
        mentioned = {}
        for entity, of_kind in by_kind.items():
            ids = self._forget(entity, of_kind)
            ids += self._take(entity, of_kind)
            if ids:
                mentioned[entity] = list(dict.fromkeys(ids))
        self.meet_items()
        return mentioned

    def take_merged(self, new_rows: dict[str, NewRows]) -> None:
        """Take in merged rows of entities that other workers merge."""
        for entity, new in new_rows.items():
            self.tables[entity].take_merged(new.gone, new.ids, new.rows)
        self.meet_items()

    def merge_only(self, ownership: Ownership) -> None:
        """Keep the partial rows that a worker needs, and no others; to be said first of all."""
        self._ownership = ownership
        for table in self.tables.values():
            table.merge_only(ownership.merges)

    def meet_items(self) -> None:
        """Let the catalogue's columns have the items that are new in their table."""
        ids = self.items.ids
        new = [index for index in self.items.take_new() if ids[index]]
        self.catalogue.meet(new, [ids[index] for index in new])

    def follow_items(self, item_ids: Sequence[str]) -> dict[str, list[str]]:
        """Take in that these items came into the catalogue, changed there or left it; returns those
        that events had named before, by kind of row."""
        having = self.items.having(item_ids)
        self.catalogue.meet(self.items.find(having).tolist(), having)
        return {kind: self.tables[kind].classify(item_ids) for kind in (ITEM, COMPANIONS)}

    def own(self, partitions: Iterable[int]) -> None:
        """Mark these partitions as own: their rows are put here, and the topic only echoes them."""
        for table in self.tables.values():
            table.own(partitions)

    def item_keys(self, item_ids: Sequence[str], item_N: Ints) -> Ints:
        """[N]: the keys of these items, which have these indexes, -1 for none."""
        key_N = self.catalogue.keys(item_N)
        for nobodys in np.flatnonzero(item_N < 0).tolist():
            key_N[nobodys] = key(item_ids[nobodys])
        return key_N

    def end_step(self, now_ms: int) -> dict[str, list[Forgotten]]:
        """Forget unknown entities as the bounds say; returns the forgotten ones, by kind."""
        for table in self.tables.values():
            table.end_step(now_ms)
        gone = {entity: table.take_forgotten() for entity, table in self.tables.items()}
        return {entity: of_kind for entity, of_kind in gone.items() if of_kind}

    def _forget(self, entity: str, of_kind: dict[str, list[tuple[RowKey, Record]]]) -> list[str]:
        """Forget the rows that have a tombstone, and leave of each entity the records after it."""
        gone: dict[int, list[str]] = {}
        for entity_id, named in of_kind.items():
            if all(record.value for _, record in named):
                continue
            last = {about.source: n for n, (about, record) in enumerate(named) if not record.value}
            for source in last:
                gone.setdefault(source, []).append(entity_id)
            of_kind[entity_id] = [
                one for n, one in enumerate(named) if n > last.get(one[0].source, -1)
            ]
        for source, ids in gone.items():
            self.tables[entity].forget(ids, source)
        return [entity_id for ids in gone.values() for entity_id in ids]

    def _take(self, entity: str, of_kind: dict[str, list[tuple[RowKey, Record]]]) -> list[str]:
        """Take in the rows."""
        named = [one for of_entity in of_kind.values() for one in of_entity]
        keys, rows_K = self._decoder.rows(entity, named)
        is_own_K = rows_K["partition"] == [about.source for about in keys]
        if not is_own_K.all():
            records = dict(named)
            for number in (~is_own_K).nonzero()[0].tolist():
                about = keys[number]
                self._decoder.skip(records[about], "a row of another partition", repr(about))
            rows_K = rows_K[is_own_K]
            keys = [about for about, is_own in zip(keys, is_own_K, strict=True) if is_own]
        ids = [about.entity_id for about in keys]
        self.tables[entity].apply(ids, rows_K)
        return ids


def _tables(item_of: ItemOf, bounds: Bounds | None) -> dict[str, MergedTable]:
    """A table for each kind; categories are those of the catalogue's items."""
    tables = {entity: MergedTable(layout) for entity, layout in SHARED.items()}
    if bounds:
        for entity in (ITEM, COMPANIONS):
            tables[entity] = MergedTable(
                SHARED[entity], lambda item_id: item_of(item_id) is not None, bounds.items
            )
        known = bounds.known_campaigns
        tables[CAMPAIGN] = MergedTable(SHARED[CAMPAIGN], known.__contains__, bounds.campaigns)
    return tables
