"""Trending: the rows that were clicked most of late, kept beside the requests.

How late is for the data to say: an hour of a busy news site tells more than its week, and that of
a small shop is the visit of one person. So the shares of clicks in a short window begin with those
of the next longer one, which count as `STRENGTH` clicks.

I rows of the table   N rows of a list   U rows of a change   K windows, the longest first
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.table.key_index import longer
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.facts import Ints
from headrace.keys import NUM_CATEGORY_SLOTS
from headrace.pipeline.context import StatesByRow
from headrace.slates.windows import WINDOWS

Floats = NDArray[np.float32]

MOST: Final = 1 << 15  # rows of the list; of smaller catalogues it has all
MOST_OF_SLOT: Final = 1 << 10  # of each category slot, beside those
ARRIVALS: Final = 1 << 10  # of the newest items, at the list's end
SORT_EVERY_MS: Final = 2_000  # a larger catalogue
SLOTS_A_TURN: Final = 8  # of which the best are looked for when it is sorted
STRENGTH: Final = 3_000.0  # clicks
AGE_ROWS: Final = 2_000  # whose popularity is told anew each time, as it fades by itself


class Trending:
    """The list of the rows that trend, best first; only rows with an item are in it.

    In a catalogue of more than `MOST` items it has the most popular ones, the most popular ones of
    each category slot, and the newest. It is sorted every `SORT_EVERY_MS` then; items that come
    are at its end at once, and those that go are in it no more.
    """

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._click_IK: Floats = np.zeros((1, len(WINDOWS)), np.float32)
        self._popularity_I: Floats = np.zeros(1, np.float32)
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
            self._click_IK[row_N] = clicks(states, row_N, now_ms)
        if len(self._table) <= MOST or now_ms - self._sorted_ms >= SORT_EVERY_MS:
            self.sort(now_ms)

    def arrive(self, row_U: Ints, states: StatesByRow, now_ms: int) -> None:
        """Take in that these rows have an item that is new or has changed."""
        new_U = row_U[~np.isin(row_U, self.rows)]
        self._arrived.extend(new_U.tolist())
        self._reserve()
        self._click_IK[row_U] = clicks(states, row_U, now_ms)
        self.rows = np.concatenate([self.rows, new_U])
        if len(self._table) <= MOST:
            self.sort(now_ms)

    def drop_removed(self) -> None:
        """Leave out the rows whose items were removed."""
        self.rows = self.rows[self._table.have_items(self.rows)]

    def sort(self, now_ms: int) -> None:
        """Make the list anew."""
        row_N = self._table.rows()
        self._popularity_I[row_N] = popularity(self._click_IK[row_N])
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
            self._click_IK = longer(self._click_IK, num_rows + num_rows // 8)


def clicks(states: StatesByRow, row_N: Ints, now_ms: int) -> Floats:
    """[N, K]: how often the items of these rows were clicked in each window."""
    state_N, now_ms_N = states.take(row_N), np.full(len(row_N), now_ms)
    columns = [window.clicks(state_N, now_ms_N) for window in WINDOWS]
    return np.stack(columns, 1).astype(np.float32)


def popularity(click_NK: Floats) -> Floats:
    """[N]: the shares of these items in the clicks of the shortest window, which begin with those
    in the next longer one, and so on to even shares."""
    share_N = np.full(len(click_NK), 1 / max(len(click_NK), 1), np.float32)
    for click_N in click_NK.T:
        share_N = (click_N + STRENGTH * share_N) / (click_N.sum() + STRENGTH)
    return share_N


def _best(row_N: Ints, popularity_I: Floats, most: int) -> Ints:
    """At most so many of these rows, the most popular ones, in no order."""
    if len(row_N) <= most:
        return row_N
    return row_N[np.argpartition(-popularity_I[row_N], most)[:most]]
