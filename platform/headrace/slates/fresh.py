"""Fresh items: the new ones that were shown too seldom, kept beside the requests.

N rows of the list   U rows of a change
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.facts import Ints
from headrace.features.table import ITEM_LAYOUT
from headrace.pipeline.context import NO_TIME, StatesByRow

MOST: Final = 1 << 10  # items of the list, the newest
ENOUGH: Final = 100  # impressions, then an item is known


class Fresh:
    """The list of the newest items with fewer than `ENOUGH` impressions, those with fewest first.

    It begins with the rows that the table gave out last, which are the newest of a catalogue that
    was read from a file.
    """

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._arrived_N = table.rows()[-MOST:]  # the newest last
        self.rows: Ints = self._arrived_N[::-1]

    def take(self, changed_U: Ints, states: StatesByRow) -> None:
        """Take in that these rows have other states."""
        if np.isin(changed_U, self._arrived_N).any():
            self._sort(states)

    def arrive(self, row_U: Ints, states: StatesByRow) -> None:
        """Take in that these rows have an item that is new or has changed."""
        came_U = row_U[~np.isin(row_U, self._arrived_N)]
        self._arrived_N = np.concatenate([self._arrived_N, came_U])[-MOST:]
        self._sort(states)

    def drop_removed(self) -> None:
        """Leave out the rows whose items were removed."""
        self._arrived_N = self._arrived_N[self._table.have_items(self._arrived_N)]
        self.rows = self.rows[self._table.have_items(self.rows)]

    def _sort(self, states: StatesByRow) -> None:
        num_N = impressions(states, self._arrived_N)
        self._arrived_N, num_N = self._arrived_N[num_N < ENOUGH], num_N[num_N < ENOUGH]
        newest_N, num_N = self._arrived_N[::-1], num_N[::-1]
        self.rows = newest_N[np.argsort(num_N, kind="stable")]


def impressions(states: StatesByRow, row_N: Ints) -> NDArray[np.float64]:
    """[N]: how often the items of these rows were shown."""
    shown_N = ITEM_LAYOUT.value("item_impressions_log", states.take(row_N), NO_TIME)
    return np.expm1(shown_N.astype(np.float64))
