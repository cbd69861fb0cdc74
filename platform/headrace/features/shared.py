"""The shared state: items, categories and campaigns, the same for all who read the topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from headrace.broker import Record
from headrace.features.catalogue_columns import CatalogueColumns, ItemOf
from headrace.features.row_schemas import DescriptionOf, carry_over, nothing_described
from headrace.features.shared_table import SharedTable
from headrace.features.state import Rows, decode_rows, encode_rows
from headrace.features.table import CAMPAIGN, CATEGORY, ITEM, SHARED_LAYOUTS

_LAYOUTS: Final = {layout.entity: layout for layout in SHARED_LAYOUTS}


class SharedState:
    """One table per kind of entity, and what the catalogue says about the items in it.

    Rows of feature tables that `description_of` knows are carried over to this build's.
    """

    def __init__(self, item_of: ItemOf, description_of: DescriptionOf = nothing_described) -> None:
        self._description_of = description_of
        self.tables = {entity: SharedTable(layout) for entity, layout in _LAYOUTS.items()}
        self.items, self.categories = self.tables[ITEM], self.tables[CATEGORY]
        self.campaigns = self.tables[CAMPAIGN]
        self.catalogue = CatalogueColumns(item_of, self.categories.numbers)

    def apply(self, records: Iterable[Record]) -> dict[str, list[str]]:
        """Take in records of the `item-features` topic; returns the entities that they are about,
        by kind. Each record has a kind, a partition and an id in its key, and one row as value."""
        by_kind: dict[str, list[Record]] = {}
        for record in records:
            by_kind.setdefault(entity_of(record)[0], []).append(record)
        mentioned = {}
        for entity, of_kind in by_kind.items():
            ids = [entity_of(record)[1] for record in of_kind]
            payloads, layout = [record.value for record in of_kind], _LAYOUTS[entity]
            rows = decode_rows(carry_over(payloads, layout, self._description_of), layout)
            self.tables[entity].apply(ids, rows)
            mentioned[entity] = list(dict.fromkeys(ids))
        self.catalogue.meet(self.items.ids)
        return mentioned


def entity_of(record: Record) -> tuple[str, str]:
    """The kind and the id of the entity that a record of the `item-features` topic is about."""
    head, _, entity_id = record.key.decode().partition(":")
    return head.partition("/")[0], entity_id


def topic_messages(changed: Mapping[str, tuple[list[str], Rows]]) -> Iterable[tuple[bytes, bytes]]:
    """Keys and values for the `item-features` topic: what `SharedState.apply` reads.

    The partition is in the key, so that compaction keeps the newest row of each.
    """
    for entity, (ids, rows) in changed.items():
        partitions = rows["partition"].tolist()
        for entity_id, partition, payload in zip(ids, partitions, encode_rows(rows), strict=True):
            yield f"{entity}/{partition}:{entity_id}".encode(), payload
