"""Requests, their candidates, and the states of both, in columns.

B requests   N candidates of all requests   S category slots of a candidate, padded with -1
K numbers and W words of a context   A numbers of a candidate
G groups of a candidate: its authors, then its categories   P states of groups
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.events.declared import ATTRIBUTES, NUMBERS, WORDS, Told, numbers, word_codes
from headrace.features.aggregation.accumulators import Accumulator, State, Values
from headrace.features.aggregation.facts import Ints, codes_of
from headrace.features.aggregation.layout import Layout
from headrace.keys import surface_code


@dataclass(frozen=True, slots=True)
class Requests:
    """B requests in columns: their times, surfaces, and contexts."""

    now_ms_B: Ints
    surface_B: Ints  # `headrace.keys.surface_code`
    number_BK: Values  # NaN where it is not told
    word_BW: Ints  # `headrace.events.declared.word_codes`

    def codes(self, field: str) -> Ints:
        """[B]: the codes of the surfaces, or of the words of a field (`Facts.codes`)."""
        return codes_of(field, self.surface_B, self.word_BW)

    @classmethod
    def of(
        cls, times_ms: Sequence[int], surfaces: Sequence[str], told: Sequence[Told | None]
    ) -> Requests:
        """The columns of requests."""
        return cls(
            np.array(times_ms, np.int64),
            np.array([surface_code(surface) for surface in surfaces], np.int64),
            np.array([*map(numbers, told)] if NUMBERS else ()).reshape(len(told), len(NUMBERS)),
            np.array([*map(word_codes, told)] if WORDS else (), np.int64).reshape(
                len(told), len(WORDS)
            ),
        )


@dataclass(frozen=True, slots=True)
class AskedItems:
    """N candidates in columns: whose each is, its category slots, and its numbers."""

    request_N: Ints  # in ascending order
    slot_NS: Ints
    number_NA: Values  # `headrace.events.declared.ATTRIBUTES`, NaN where it has none

    @classmethod
    def unknown(cls, request_N: Ints) -> AskedItems:
        """Candidates of which nothing is known."""
        num = len(request_N)
        return cls(request_N, np.full((num, 1), -1), np.full((num, len(ATTRIBUTES)), np.nan))


@dataclass(frozen=True, slots=True)
class Groups:
    """The states of some authors and categories [P], and which of them each candidate has."""

    state_P: State
    place_NG: Ints  # padded with -1
    is_author_NG: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """B requests and their candidates, with the states of users [B] and of candidates [N], and of
    the candidates' groups where anything reads those."""

    requests: Requests
    items: AskedItems
    states: Mapping[str, tuple[Layout, State]]  # by kind of entity
    groups: Groups | None = None

    def state_of(self, kept: Accumulator, entity: str = "user") -> State:
        """The states of an accumulator of this kind of entity."""
        layout, state_X = self.states[entity]
        of_kept_X: State = state_X[layout.field_of[kept]]
        return of_kept_X
