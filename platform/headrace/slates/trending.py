"""Trending: the rows that were clicked most of late, kept beside the requests.

I rows of the table   N rows of a list   U rows of a change
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.table.key_index import longer
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.facts import Ints
from headrace.features.table import ITEM_LAYOUT
from headrace.keys import NUM_CATEGORY_SLOTS
from headrace.pipeline.context import StatesByRow

MOST: Final = 1 << 15  # rows of the list; of smaller catalogues it has all
MOST_OF_SLOT: Final = 1 << 10  # of each category slot, beside those
ARRIVALS: Final = 1 << 10  # of the newest items, at the list's end
SORT_EVERY_MS: Final = 2_000  # a larger catalogue
SLOTS_A_TURN: Final = 8  # of which the best are looked for when it is sorted
AGE_ROWS: Final = 2_000  # whose popularity is told anew each time, as it fades by itself


class Trending:
    """The list of the rows that trend, best first; only rows with an item are in it.

    In a catalogue of more than `MOST` items it has the most popular ones, the most popular ones of
    each category slot, and the newest. It is sorted every `SORT_EVERY_MS` then; items that come
    are at its end at once, and those that go are in it no more.
    """

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._popularity_I: NDArray[np.float32] = np.zeros(1, np.float32)
        self._of_slot = [np.zeros(0, np.int64) for _ in range(NUM_CATEGORY_SLOTS)]
        self._arrived: deque[int] = deque(maxlen=ARRIVALS)
        self._turn = self._aged = self._sorted_ms = 0
        self.rows: Ints = np.zeros(0, np.int64)
        self._reserve()
        self.sort(0)

    def take(self, changed_U: Ints, states: StatesByRow, now_ms: int) -> None:
        """Take in that these rows have other states."""
        self._reserve()
        for row_N in (self._next_to_age(), changed_U):
            self._popularity_I[row_N] = popularity(states, row_N, now_ms)
        if len(self._table) <= MOST or now_ms - self._sorted_ms >= SORT_EVERY_MS:
            self.sort(now_ms)

    def arrive(self, row_U: Ints, states: StatesByRow, now_ms: int) -> None:
        """Take in that these rows have an item that is new or has changed."""
        new_U = row_U[~np.isin(row_U, self.rows)]
        self._arrived.extend(new_U.tolist())
        self._reserve()
        self._popularity_I[row_U] = popularity(states, row_U, now_ms)
        self.rows = np.concatenate([self.rows, new_U])
        if len(self._table) <= MOST:
            self.sort(now_ms)

    def drop_removed(self) -> None:
        """Leave out the rows whose items were removed."""
        self.rows = self.rows[self._table.have_items(self.rows)]

    def sort(self, now_ms: int) -> None:
        """Make the list anew."""
        row_N = self._table.rows()
        if len(row_N) > MOST:
            row_N = self._best_of_many(row_N)
        self.rows = row_N[np.argsort(-self._popularity_I[row_N], kind="stable")]
        self._sorted_ms = now_ms

    def _best_of_many(self, row_N: Ints) -> Ints:
        best = _best(row_N, self._popularity_I, MOST)
        bits_N = self._table.slot_bits(row_N)
        for slot in range(self._turn, self._turn + SLOTS_A_TURN):
            slot %= NUM_CATEGORY_SLOTS
            of_slot = row_N[np.flatnonzero(bits_N & np.uint32(1 << slot))]
            self._of_slot[slot] = _best(of_slot, self._popularity_I, MOST_OF_SLOT)
        self._turn = (self._turn + SLOTS_A_TURN) % NUM_CATEGORY_SLOTS
        arrived = np.array(self._arrived, np.int64)
        found = np.unique(np.concatenate([best, *self._of_slot, arrived]))
        return found[self._table.have_items(found)]

    def _next_to_age(self) -> Ints:
        """The next rows in turn."""
        num_rows = self._table.num_rows
        row_N = np.arange(self._aged, min(self._aged + AGE_ROWS, num_rows))
        self._aged = (self._aged + AGE_ROWS) if self._aged + AGE_ROWS < num_rows else 0
        return row_N

    def _reserve(self) -> None:
        if self._table.num_rows > len(self._popularity_I):
            num_rows = self._table.num_rows
            self._popularity_I = longer(self._popularity_I, num_rows + num_rows // 8)


def popularity(states: StatesByRow, row_N: Ints, now_ms: int) -> NDArray[np.float32]:
    """[N]: how much the items of these rows are clicked of late; 0 without any event."""
    state_N, now_ms_N = states.take(row_N), np.full(len(row_N), now_ms)
    clicks_N = ITEM_LAYOUT.value("item_clicks_lately_log", state_N, now_ms_N)
    rate_N = ITEM_LAYOUT.value("item_click_rate_lately", state_N, now_ms_N)
    popularity_N: NDArray[np.float32] = (clicks_N * rate_N).astype(np.float32)
    return popularity_N


def _best(row_N: Ints, popularity_I: NDArray[np.float32], most: int) -> Ints:
    """At most so many of these rows, the most popular ones, in no order."""
    if len(row_N) <= most:
        return row_N
    return row_N[np.argpartition(-popularity_I[row_N], most)[:most]]
