"""Item states of a replica: the accumulators of its catalogue's items, as the topic has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from headrace.broker.record import Record
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.table import ITEM, ITEM_LAYOUT
from serving.replica.state_pages import StatePages, States
from serving.replica.trending import Trending


class ItemStates:
    """States by catalogue row, and the rows that trend; a reading of them does not change.

    U rows of a change
    """

    def __init__(self, table: ItemTable, merged_rows: MergedRows, clock: Callable[[], int]) -> None:
        self._table, self._rows, self._clock = table, merged_rows, clock
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
        """Take in records of the items' states; returns whether one of the catalogue changed. What
        is in no catalogue is not recommended, and has no place here."""
        new = self._rows.read(records).get(ITEM)
        if new is None:
            return False
        row_N = self._table.rows_of_ids(new.ids)
        place_U = np.flatnonzero(row_N)
        gone_G = self._table.rows_of_ids(new.gone)
        gone_G = gone_G[gone_G != 0]
        if len(gone_G):
            self._pages.clear(gone_G)
        if len(place_U):
            self._pages.put(row_N[place_U], new.rows["state"][place_U])
        row_U = np.concatenate([row_N[place_U], gone_G])
        if len(row_U):
            self._trending.take(row_U, self.states, self._clock())
        return len(row_U) > 0

    def follow_items(self, put_rows: Ints, removed_rows: Ints) -> None:
        """Take in that the table has other items in these rows, and none in those. An item that is
        new here has its state from the next message about it on."""
        gone = removed_rows[~self._table.have_items(removed_rows)]
        if len(gone):
            self._pages.clear(np.unique(gone))
            self._trending.drop_removed()
        if len(put_rows):
            self._trending.arrive(put_rows, self.states, self._clock())
