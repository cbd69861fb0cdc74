"""Sketches: approximate answers in few bytes, and small vectors per entity.

U states   N facts   P (fact, slot) pairs   Q states read   R registers   C kept keys   K slots
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import EVER, State, Values, span
from headrace.features.aggregation.facts import CLICK, SHOWN, Facts, Ints

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different items there were (HyperLogLog, Flajolet et al., 2007). Reads [Q].

    `num_registers` bytes; the standard error is 1.04 / sqrt(num_registers), and small numbers are
    counted linearly, nearly exactly. Item keys must be hashes, as `headrace.keys.key` makes them.
    """

    num_registers: int = 64
    is_exact: ClassVar = True
    is_sketch: ClassVar = False
    window: ClassVar = EVER

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(("u1", (self.num_registers,)))

    def initialize(self) -> State:
        return np.zeros(self.num_registers, "u1")

    def add(self, state_UR: State, facts: Facts) -> None:
        mixed_N = facts.item_key_N.astype(np.uint64) * _MIX
        register_N = (mixed_N >> np.uint64(32)) % np.uint64(self.num_registers)
        low_N = (mixed_N & np.uint64(0xFFFFFFFF)).astype(np.float64)
        rank_N = 33 - np.frexp(low_N)[1]  # leading zeros of 32 bits, and one
        np.maximum.at(state_UR, (facts.entity_N, register_N.astype(np.int64)), rank_N.astype("u1"))

    def merge(self, state_UR: State, other_UR: State) -> None:
        np.maximum(state_UR, other_UR, out=state_UR)

    def read(self, state_QR: State, now_ms_Q: Ints) -> Values:
        num = self.num_registers
        harmonic_Q = np.exp2(-state_QR.astype(np.float64)).sum(-1)
        estimate_Q = 0.7213 / (1 + 1.079 / num) * num * num / harmonic_Q
        empty_Q = (state_QR == 0).sum(-1)
        linear_Q = num * np.log(num / np.maximum(empty_Q, 1))
        few_Q = (estimate_Q <= 2.5 * num) & (empty_Q > 0)
        distinct_Q: Values = np.where(few_Q, linear_Q, estimate_Q)
        return distinct_Q


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
        return np.dtype([("key", "<i8", (self.capacity,)), ("sum", "<f4", (self.capacity,))])

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        value_N = facts.measures([self.measure])[:, 0]
        has_N = value_N > 0
        changed_V, row_K = np.unique(facts.entity_N[has_N], return_inverse=True)
        self._take_in(state_U, changed_V, row_K, facts.item_key_N[has_N], value_N[has_N])

    def merge(self, state_U: State, other_U: State) -> None:
        rows_U = np.arange(len(state_U))
        row_K = np.repeat(rows_U, self.capacity)
        self._take_in(state_U, rows_U, row_K, other_U["key"].ravel(), other_U["sum"].ravel())

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        return state_Q

    def _take_in(
        self, state_U: State, changed_V: Ints, row_K: Ints, key_K: Ints, sum_K: Any
    ) -> None:
        """Add keys with sums to the states of `changed_V`; `row_K` are places in that."""
        old_V = state_U[changed_V]
        row_X = np.concatenate([np.repeat(np.arange(len(changed_V)), self.capacity), row_K])
        key_X = np.concatenate([old_V["key"].ravel(), key_K])
        sum_X = np.concatenate([old_V["sum"].ravel(), sum_K])
        order_X = np.lexsort((key_X, row_X))
        row_X, key_X, sum_X = row_X[order_X], key_X[order_X], sum_X[order_X]
        starts_Y = np.flatnonzero(np.diff(row_X, prepend=-1) | np.diff(key_X, prepend=-1))
        row_Y, key_Y = row_X[starts_Y], key_X[starts_Y]
        sum_Y = np.add.reduceat(sum_X, starts_Y)
        order_Y = np.lexsort((key_Y, -sum_Y, key_Y == 0, row_Y))
        row_Y, key_Y, sum_Y = row_Y[order_Y], key_Y[order_Y], sum_Y[order_Y]
        place_Y = np.arange(len(row_Y)) - np.searchsorted(row_Y, row_Y)
        taken_off_V = np.zeros(len(changed_V), sum_Y.dtype)
        first_out_Y = place_Y == self.capacity
        taken_off_V[row_Y[first_out_Y]] = sum_Y[first_out_Y]
        sum_Y = sum_Y - taken_off_V[row_Y]
        kept_Y = (place_Y < self.capacity) & (sum_Y > 0)
        fresh_V = np.zeros(len(changed_V), self.dtype)
        fresh_V["key"][row_Y[kept_Y], place_Y[kept_Y]] = key_Y[kept_Y]
        fresh_V["sum"][row_Y[kept_Y], place_Y[kept_Y]] = sum_Y[kept_Y]
        state_U[changed_V] = fresh_V


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
        measure_NM = facts.measure_NM * self._weight(newest_U[facts.entity_N] - facts.time_ms_N)
        self._top.add(state_U["top"], replace(facts, measure_NM=measure_NM))

    def merge(self, state_U: State, other_U: State) -> None:
        self._advance(state_U, np.maximum(state_U["newest_ms"], other_U["newest_ms"]))
        top_U = other_U["top"].copy()
        top_U["sum"] *= self._weight(state_U["newest_ms"] - other_U["newest_ms"])
        self._top.merge(state_U["top"], top_U)

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        top_Q: State = state_Q["top"].copy()
        top_Q["sum"] *= self._weight(np.maximum(now_ms_Q - state_Q["newest_ms"], 0))
        return top_Q

    @property
    def _top(self) -> TopItems:
        return TopItems(self.capacity, self.measure)

    def _advance(self, state_U: State, newest_U: Ints) -> None:
        state_U["top"]["sum"] *= self._weight(newest_U - state_U["newest_ms"])
        state_U["newest_ms"] = newest_U

    def _weight(self, age_ms_X: Ints) -> NDArray[np.float32]:
        """[X, 1]."""
        weight_X: NDArray[np.float32] = np.exp2(-age_ms_X / self.half_life_ms).astype(np.float32)
        return weight_X[:, None]


@dataclass(frozen=True, slots=True)
class BySlot:
    """Sums of some measures for each of `num_slots` slots that categories are hashed into: a cross
    of the entity and a category. Reads [Q, K, m]."""

    num_slots: int = 32
    measures: tuple[str, ...] = (SHOWN, CLICK)
    is_exact: ClassVar = True
    is_sketch: ClassVar = False
    window: ClassVar = EVER

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(("<f4", (self.num_slots, len(self.measures))))

    def initialize(self) -> State:
        return np.zeros((self.num_slots, len(self.measures)), "<f4")

    def add(self, state_UKm: State, facts: Facts) -> None:
        fact_P, place_P = np.nonzero(facts.slot_NS >= 0)
        index = (facts.entity_N[fact_P], facts.slot_NS[fact_P, place_P])
        np.add.at(state_UKm, index, facts.measures(self.measures)[fact_P])

    def merge(self, state_UKm: State, other_UKm: State) -> None:
        state_UKm += other_UKm

    def read(self, state_QKm: State, now_ms_Q: Ints) -> Values:
        return state_QKm.astype(np.float64)
