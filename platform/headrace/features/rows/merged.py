"""The merged state: items, categories and campaigns, the same for all who read the topic.

K rows
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from headrace.broker.record import Record
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.bounds import Bounds
from headrace.features.rows.item_columns import CatalogueColumns, ItemOf
from headrace.features.rows.merged_table import Forgotten, MergedTable
from headrace.features.rows.schemas import DescriptionOf, carry_over, nothing_described
from headrace.features.rows.state_row import START_PARTITION, Rows, encode_rows, readable_rows
from headrace.features.table import CAMPAIGN, CATEGORY, ITEM, SHARED_LAYOUTS
from headrace.keys import key
from headrace.skipped import Skipped, place, shortened

TOPIC: Final = "item-features"
_START: Final = str(START_PARTITION)
_START_IN_KEY: Final = f"/{_START}".encode()
_LAYOUTS: Final = {layout.entity: layout for layout in SHARED_LAYOUTS}


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
        self._description_of, self._skipped = description_of, skipped or Skipped()
        self.tables = _tables(item_of, bounds)
        self.items, self.categories = self.tables[ITEM], self.tables[CATEGORY]
        self.campaigns = self.tables[CAMPAIGN]
        self.catalogue = CatalogueColumns(item_of, self.categories.indexes)

    def apply(self, records: Iterable[Record]) -> dict[str, list[str]]:
        """Take in records of the `item-features` topic; returns the entities that they are about,
        by kind. Each record has a kind, a partition and an id in its key, and one row as value; a
        record without a value (a tombstone) says that the partition's row is to be forgotten."""
        by_kind: dict[str, dict[str, list[Record]]] = {}
        for record in records:
            about = entity_of(record)
            if about is None:
                self._skip(record, "no key of a row", repr(record.key))
            else:
                by_kind.setdefault(about[0], {}).setdefault(about[1], []).append(record)
        mentioned = {}
        for entity, of_kind in by_kind.items():
            ids = self._forget(entity, of_kind)
            ids += self._take(entity, of_kind)
            if ids:
                mentioned[entity] = list(dict.fromkeys(ids))
        self.meet_items()
        return mentioned

    def meet_items(self) -> None:
        """Let the catalogue's columns have the items that are new in their table."""
        ids = self.items.ids
        new = [index for index in self.items.take_new() if ids[index]]
        self.catalogue.meet(new, [ids[index] for index in new])

    def follow_items(self, item_ids: Sequence[str]) -> None:
        """Take in that these items came into the catalogue, changed there or left it."""
        self.items.classify(item_ids)
        having = self.items.having(item_ids)
        self.catalogue.meet(self.items.find(having).tolist(), having)

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

    def _forget(self, entity: str, of_kind: dict[str, list[Record]]) -> list[str]:
        """Forget the rows that have a tombstone, and leave of each entity the records after it."""
        gone: dict[int, list[str]] = {}
        for entity_id, records in of_kind.items():
            if all(record.value for record in records):
                continue
            last = {_partition_in(r): n for n, r in enumerate(records) if not r.value}
            for partition in last:
                gone.setdefault(partition, []).append(entity_id)
            of_kind[entity_id] = [
                r for n, r in enumerate(records) if n > last.get(_partition_in(r), -1)
            ]
        for partition, ids in gone.items():
            self.tables[entity].forget(ids, partition)
        return [entity_id for ids in gone.values() for entity_id in ids]

    def _take(self, entity: str, of_kind: dict[str, list[Record]]) -> list[str]:
        """Take in the rows."""
        layout = _LAYOUTS[entity]
        named = [(id_, record) for id_, records in of_kind.items() for record in records]
        payloads = carry_over([r.value for _, r in named], layout, self._description_of)
        place_K, rows_K, faults = readable_rows(payloads, layout)
        for number, why in faults.items():
            self._skip(named[number][1], "no row", f"{named[number][1].key!r}: {why}")
        taken = [named[number] for number in place_K.tolist()]
        is_own_K = rows_K["partition"] == [_partition_in(record) for _, record in taken]
        if not is_own_K.all():
            for number in (~is_own_K).nonzero()[0].tolist():
                self._skip(taken[number][1], "a row of another partition", repr(taken[number][0]))
            rows_K = rows_K[is_own_K]
            taken = [one for one, is_own in zip(taken, is_own_K, strict=True) if is_own]
        ids = [entity_id for entity_id, _ in taken]
        self.tables[entity].apply(ids, rows_K)
        return ids

    def _skip(self, record: Record, reason: str, what: str) -> None:
        where = place(record.partition, record.offset)
        self._skipped.add(TOPIC, reason, f"{where}: {shortened(what)}", max(record.num_lost, 1))


def _tables(item_of: ItemOf, bounds: Bounds | None) -> dict[str, MergedTable]:
    """A table for each kind; categories are those of the catalogue's items."""
    tables = {entity: MergedTable(layout) for entity, layout in _LAYOUTS.items()}
    if bounds:
        tables[ITEM] = MergedTable(
            _LAYOUTS[ITEM], lambda item_id: item_of(item_id) is not None, bounds.items
        )
        known = bounds.known_campaigns
        tables[CAMPAIGN] = MergedTable(_LAYOUTS[CAMPAIGN], known.__contains__, bounds.campaigns)
    return tables


def entity_of(record: Record) -> tuple[str, str] | None:
    """The kind and the id of the entity that a record of the `item-features` topic is about, None
    where the key is not one of a row."""
    try:
        head, _, entity_id = record.key.decode().partition(":")
    except UnicodeDecodeError:
        return None
    kind, _, number = head.partition("/")
    is_own = number == str(record.partition) or number == _START
    return (kind, entity_id) if entity_id and kind in _LAYOUTS and is_own else None


def _partition_in(record: Record) -> int:
    """The partition in the key of a record that is about an entity."""
    start = record.key.partition(b":")[0].endswith(_START_IN_KEY)
    return START_PARTITION if start else record.partition


def row_key(entity: str, partition: int, entity_id: str) -> bytes:
    """The key of a partition's row; a message without a value says that it is forgotten."""
    return f"{entity}/{partition}:{entity_id}".encode()


def topic_messages(changed: Mapping[str, tuple[list[str], Rows]]) -> Iterable[tuple[bytes, bytes]]:
    """Keys and values for the `item-features` topic, as `MergedState.apply` reads them.

    The partition is in the key, so that compaction keeps the newest row of each.
    """
    for entity, (ids, rows) in changed.items():
        partitions = rows["partition"].tolist()
        for entity_id, partition, payload in zip(ids, partitions, encode_rows(rows), strict=True):
            yield row_key(entity, partition, entity_id), payload
