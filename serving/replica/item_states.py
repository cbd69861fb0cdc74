"""Item states of a replica: the accumulators of its catalogue's items, merged from the topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from headrace.broker.record import Record
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.bounds import NOTHING, Bounds
from headrace.features.rows.merged import MergedState
from headrace.features.rows.schemas import RowSchemas
from headrace.features.table import ITEM, ITEM_LAYOUT
from headrace.skipped import Skipped
from serving.replica.state_pages import StatePages, States
from serving.replica.trending import Trending


class ItemStates:
    """States by catalogue row, and the rows that trend; a reading of them does not change.

    U rows of a change
    """

    def __init__(
        self,
        table: ItemTable,
        schemas: RowSchemas,
        skipped: Skipped,
        clock: Callable[[], int],
    ) -> None:
        self._table, self._clock = table, clock
        known = Bounds(NOTHING, NOTHING)
        self._merged = MergedState(table.get, schemas.description, skipped, known)
        self._pages = StatePages(ITEM_LAYOUT, table.num_rows)
        self._trending = Trending(table)

    @property
    def states(self) -> States:
        """The states as they are now."""
        return self._pages.states

    @property
    def trending_rows(self) -> Ints:
        """Catalogue rows by the clicks of the recent past, best first."""
        return self._trending.rows

    def take(self, records: Sequence[Record]) -> bool:
        """Apply records of the items' states; returns whether one of the catalogue changed."""
        changed = self._merged.apply(records).get(ITEM, [])
        self._merged.end_step(self._clock())  # what is in no catalogue is not recommended
        row_U = self._put(changed)
        if len(row_U):
            self._trending.take(row_U, self.states, self._clock())
        return len(row_U) > 0

    def follow_items(self, put_rows: Ints, removed_rows: Ints) -> None:
        """Take in that the table has other items in these rows, and none in those."""
        self._merged.follow_items([item.item_id for item in self._table.items(removed_rows)])
        self._merged.follow_items([item.item_id for item in self._table.items(put_rows)])
        gone = removed_rows[~self._table.have_items(removed_rows)]
        if len(gone):
            self._pages.clear(np.unique(gone))
            self._trending.drop_removed()
        if len(put_rows):
            self._put([item.item_id for item in self._table.items(put_rows)])
            self._trending.arrive(put_rows, self.states, self._clock())

    def _put(self, item_ids: Sequence[str]) -> Ints:
        """[U]: give the rows of these items their merged states; those that are in no catalogue
        have no row, and those without any event no state."""
        row_N = self._table.rows_of_ids(item_ids)
        index_N = self._merged.items.find(item_ids)
        place_U = np.flatnonzero((row_N != 0) & (index_N >= 0))
        if len(place_U):
            self._pages.put(row_N[place_U], self._merged.items.states(index_N[place_U]))
        return row_N[place_U]
