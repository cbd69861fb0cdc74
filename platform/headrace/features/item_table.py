"""The item table: every item's state on this node, merged from the partitions' partial states.

Each stream worker counts what its own partition says about an item and publishes that partial
state, an absolute value with its position, to the compacted `item-features` topic. Whoever needs
items (stream workers, serving) reads the topic into one of these tables.

    P partitions   N items   W state
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headrace.broker import Record
from headrace.features.aggregators import State
from headrace.features.state import Row, decode_row, fresh_row
from headrace.features.table import ITEM_LAYOUT


class ItemTable:
    """Partial states per (item, partition) and their merged states, by item id."""

    def __init__(self) -> None:
        self._partials: dict[str, dict[int, Row]] = {}
        self._row_of: dict[str, int] = {}
        self._merged_NW: State = np.empty((1_024, ITEM_LAYOUT.width))
        self._stale: set[str] = set()

    def __len__(self) -> int:
        return len(self._partials)

    def partial(self, item_id: str, partition: int) -> Row:
        """The partial state of an item in a partition, to be changed in place by its owner."""
        partials = self._partials.setdefault(item_id, {})
        if partition not in partials:
            partials[partition] = fresh_row(partition, ITEM_LAYOUT)
        self._stale.add(item_id)
        return partials[partition]

    def apply(self, records: Iterable[Record]) -> list[str]:
        """Take in records of the `item-features` topic; returns the items that they are about."""
        mentioned: dict[str, None] = {}
        for record in records:
            item_id, row = record.key.decode(), decode_row(record.value, ITEM_LAYOUT)
            partials = self._partials.setdefault(item_id, {})
            known = partials.get(row.partition)
            if known is None or row.position > known.position:
                partials[row.partition] = row
                self._stale.add(item_id)
            mentioned[item_id] = None
        return list(mentioned)

    def states_NW(self, item_ids: Sequence[str]) -> State:
        """[N, W]: the merged states of these items; an item never seen has the empty state."""
        for item_id in self._stale.intersection(item_ids):
            self._merge(item_id)
        rows_N = [self._row_of.get(item_id, -1) for item_id in item_ids]
        states_NW = self._merged_NW[rows_N]
        states_NW[[row < 0 for row in rows_N]] = ITEM_LAYOUT.empty
        return states_NW

    def merged_row(self, item_id: str) -> Row:
        """The merged state with the newest event time, as the online store keeps it."""
        event_time_ms = max(row.event_time_ms for row in self._partials[item_id].values())
        return Row(0, 0, event_time_ms, self.states_NW([item_id])[0])

    def _merge(self, item_id: str) -> None:
        row = self._row_of.setdefault(item_id, len(self._row_of))
        if row >= len(self._merged_NW):
            self._merged_NW = np.concatenate([self._merged_NW, np.empty_like(self._merged_NW)])
        state_W = ITEM_LAYOUT.empty.copy()
        for partial in self._partials[item_id].values():
            ITEM_LAYOUT.merge(state_W, partial.state_W)
        self._merged_NW[row] = state_W
        self._stale.discard(item_id)
