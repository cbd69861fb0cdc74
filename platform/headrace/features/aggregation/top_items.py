"""Top items: the keys with the greatest sums, approximately, in few bytes.

U states   N facts   V states that change   K of keys with sums, to be added
Y of each key of each state once   C kept keys
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import EVER, State, span
from headrace.features.aggregation.facts import CLICK, Facts, Ints

Sums = NDArray[np.float32]
KEY_TYPE: Final = "<i8"
SUM_TYPE: Final = "<f4"


@dataclass(frozen=True, slots=True)
class TopItems:
    """The items with the greatest sums of a measure, by a summary of `capacity` items.

    Exact while no more than `capacity` different items came. Beyond that the greatest sum that
    does not fit is taken off all (Misra and Gries, 1982, merged as by Agarwal et al., 2012): each
    sum is too low, an item's that is not there too, by no more than the total of all items divided
    by `capacity` + 1. Reads the state: keys (0 where empty) and sums, greatest first.
    """

    capacity: int = 8
    measure: str = CLICK
    is_exact: ClassVar = False
    is_sketch: ClassVar = True
    window: ClassVar = EVER

    @property
    def dtype(self) -> np.dtype[Any]:
        capacity = (self.capacity,)
        return np.dtype([("key", KEY_TYPE, capacity), ("sum", SUM_TYPE, capacity)])

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        self.add_sums(state_U, facts.entity_N, facts.item_key_N, facts.measure(self.measure))

    def merge(self, state_U: State, other_U: State) -> None:
        row_K = np.repeat(np.arange(len(state_U)), self.capacity)
        self.add_sums(state_U, row_K, other_U["key"].ravel(), other_U["sum"].ravel())

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        return state_Q

    def add_sums(self, state_U: State, index_K: Ints, key_K: Ints, sum_K: Sums) -> None:
        """Add sums of keys to these states; sums that are not above 0 and key 0 change nothing."""
        has_K = np.flatnonzero((sum_K > 0) & (key_K != 0))
        if not len(has_K):
            return
        changed_V, row_K = np.unique(index_K[has_K], return_inverse=True)
        old_V = state_U[changed_V]
        key_VC, sum_VC = old_V["key"], old_V["sum"]
        row_Y, key_Y, sum_Y = _summed(row_K, key_K[has_K], sum_K[has_K])
        hit_YC = key_VC[row_Y] == key_Y[:, None]
        is_hit_Y = hit_YC.any(1)
        sum_VC[row_Y[is_hit_Y], hit_YC[is_hit_Y].argmax(1)] += sum_Y[is_hit_Y]
        self._insert(key_VC, sum_VC, row_Y[~is_hit_Y], key_Y[~is_hit_Y], sum_Y[~is_hit_Y])
        _sort(key_VC, sum_VC)
        state_U[changed_V] = old_V

    def _insert(self, key_VC: Ints, sum_VC: Sums, row_Y: Ints, key_Y: Ints, sum_Y: Sums) -> None:
        """Put keys that are new into the free places, or where there are too few, drop what is
        least. Keys lie by row."""
        if not len(row_Y):
            return
        used_V = (key_VC != 0).sum(1)
        place_Y = used_V[row_Y] + np.arange(len(row_Y)) - np.searchsorted(row_Y, row_Y)
        most = int(place_Y.max()) + 1
        if most <= self.capacity:
            key_VC[row_Y, place_Y], sum_VC[row_Y, place_Y] = key_Y, sum_Y
            return
        full_X = np.unique(row_Y[place_Y >= self.capacity])
        all_key = np.zeros((len(key_VC), most), key_VC.dtype)
        all_sum = np.zeros((len(key_VC), most), sum_VC.dtype)
        all_key[:, : self.capacity], all_sum[:, : self.capacity] = key_VC, sum_VC
        all_key[row_Y, place_Y], all_sum[row_Y, place_Y] = key_Y, sum_Y
        key_X, sum_X = all_key[full_X], all_sum[full_X]
        _sort(key_X, sum_X)
        sum_X = np.maximum(sum_X - sum_X[:, self.capacity, None], 0)
        all_key[full_X], all_sum[full_X] = np.where(sum_X > 0, key_X, 0), sum_X
        key_VC[:], sum_VC[:] = all_key[:, : self.capacity], all_sum[:, : self.capacity]


@dataclass(frozen=True, slots=True)
class FadingTopItems:
    """`TopItems` in which a fact counts half after each `half_life_ms`. Reads the same, as of the
    time of reading; sums are kept as of the latest fact."""

    half_life_ms: int
    capacity: int = 8
    measure: str = CLICK
    is_exact: ClassVar = False
    is_sketch: ClassVar = True

    @property
    def window(self) -> str:
        return f"half-life {span(self.half_life_ms)}"

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([("newest_ms", "<i8"), ("top", self._top.dtype)])

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        newest_U = state_U["newest_ms"].copy()
        np.maximum.at(newest_U, facts.entity_N, facts.time_ms_N)
        self._advance(state_U, newest_U)
        age_ms_N = newest_U[facts.entity_N] - facts.time_ms_N
        sum_N = facts.measure(self.measure) * self._weight(age_ms_N)
        self._top.add_sums(state_U["top"], facts.entity_N, facts.item_key_N, sum_N)

    def merge(self, state_U: State, other_U: State) -> None:
        self._advance(state_U, np.maximum(state_U["newest_ms"], other_U["newest_ms"]))
        top_U = other_U["top"].copy()
        top_U["sum"] *= self._weight(state_U["newest_ms"] - other_U["newest_ms"])[:, None]
        self._top.merge(state_U["top"], top_U)

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        top_Q: State = state_Q["top"].copy()
        top_Q["sum"] *= self._weight(np.maximum(now_ms_Q - state_Q["newest_ms"], 0))[:, None]
        return top_Q

    @property
    def _top(self) -> TopItems:
        return TopItems(self.capacity, self.measure)

    def _advance(self, state_U: State, newest_U: Ints) -> None:
        state_U["top"]["sum"] *= self._weight(newest_U - state_U["newest_ms"])[:, None]
        state_U["newest_ms"] = newest_U

    def _weight(self, age_ms_X: Ints) -> Sums:
        """[X]."""
        return np.exp2(-age_ms_X / self.half_life_ms).astype(np.float32)


def _summed(row_K: Ints, key_K: Ints, sum_K: Sums) -> tuple[Ints, Ints, Sums]:
    """[Y] each: every key of every row once, by row, with the sum of its sums."""
    order_K = np.lexsort((key_K, row_K))
    row_K, key_K = row_K[order_K], key_K[order_K]
    starts_Y = np.flatnonzero(np.diff(row_K, prepend=-1) | np.diff(key_K, prepend=0))
    return row_K[starts_Y], key_K[starts_Y], np.add.reduceat(sum_K[order_K], starts_Y)


def _sort(key_VC: Ints, sum_VC: Sums) -> None:
    """Sort each row, in place: the greatest sums first, equal ones by key, empty places last."""
    key_VC[sum_VC <= 0] = 0  # faded away
    order_VC = np.lexsort((key_VC, -sum_VC, key_VC == 0), axis=-1)
    key_VC[:] = np.take_along_axis(key_VC, order_VC, 1)
    sum_VC[:] = np.take_along_axis(sum_VC, order_VC, 1)
