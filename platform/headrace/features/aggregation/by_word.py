"""Sums by word: a cross of an entity with the surface or a word of the context of requests.

U states   N facts   Q states read   K slots   m measures kept
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from headrace.features.aggregation.accumulators import EVER, State, Values
from headrace.features.aggregation.facts import CLICK, SHOWN, Facts, Ints

UNTOLD: Final = 0  # the slot of facts whose request did not tell the word


@dataclass(frozen=True, slots=True)
class ByWord:
    """Sums of some measures for each of `num_slots` slots into which surfaces, or the words of a
    field of the context, are hashed. Reads [Q, K, m]."""

    field: str
    num_slots: int = 16
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
        index = (facts.entity_N, self.slots(facts.codes(self.field)))
        np.add.at(state_UKm, index, facts.measures(self.measures))

    def merge(self, state_UKm: State, other_UKm: State) -> None:
        state_UKm += other_UKm

    def read(self, state_QKm: State, now_ms_Q: Ints) -> Values:
        return state_QKm.astype(np.float64)

    def slots(self, code_X: Ints) -> Ints:
        """[X]: the slots of words that have these codes, 0 where none was told."""
        slot_X: Ints = np.where(code_X == 0, UNTOLD, 1 + (code_X - 1) % (self.num_slots - 1))
        return slot_X
