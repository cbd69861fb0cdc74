"""Sketches: approximate answers in few bytes, and small vectors per entity.

U states   N facts   P (fact, slot) pairs   Q states read   R registers   K slots
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from headrace.features.aggregation.accumulators import EVER, State, Values
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
