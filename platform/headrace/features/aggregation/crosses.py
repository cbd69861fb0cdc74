"""Feature crosses: what one request and its candidates say, and views of states by that.

    B requests   N candidates of all requests   S category slots of a candidate, padded with -1
    K numbers and W words of a context   A numbers of a candidate   m measures kept

A cross is read like any feature, of `Asked` in the place of a state: at each request, for each of
its candidates. It keeps nothing of its own. A view says whose state it reads (`whose`, empty where
it reads none), and whether it is the same for all candidates of a request (`of_request`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from headrace.declared import ATTRIBUTES, NUMBERS, WORDS, Told, numbers, word_codes
from headrace.features.aggregation.accumulators import Accumulator, State, Values
from headrace.features.aggregation.aggregators import SlotRates, kept_by
from headrace.features.aggregation.by_word import ByWord
from headrace.features.aggregation.facts import Ints, codes_of
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.aggregation.sequence import LastN, Recent
from headrace.keys import surface_code

NOW: Final = "the request"


@dataclass(frozen=True, slots=True)
class Requests:
    """B requests in columns: their times, surfaces, and what else they told."""

    now_ms_B: Ints
    surface_B: Ints  # `headrace.keys.surface_code`
    number_BK: Values  # NaN where it is not told
    word_BW: Ints  # `headrace.declared.word_codes`

    def codes(self, field: str) -> Ints:
        """[B]: the codes of the surfaces, or of the words of a field (`Facts.codes`)."""
        return codes_of(field, self.surface_B, self.word_BW)

    @classmethod
    def of(cls, times_ms: Sequence[int], surfaces: Sequence[str], told: Sequence[Told]) -> Requests:
        """The columns of requests."""
        return cls(
            np.array(times_ms, np.int64),
            np.array([surface_code(surface) for surface in surfaces], np.int64),
            np.array([numbers(one) for one in told], np.float64).reshape(len(told), len(NUMBERS)),
            np.array([word_codes(one) for one in told], np.int64).reshape(len(told), len(WORDS)),
        )


@dataclass(frozen=True, slots=True)
class AskedItems:
    """N candidates in columns: whose each is, its category slots, and its numbers."""

    request_N: Ints  # in ascending order
    slot_NS: Ints
    number_NA: Values  # `headrace.declared.ATTRIBUTES`, NaN where it has none

    @classmethod
    def unknown(cls, request_N: Ints) -> AskedItems:
        """Candidates of which nothing is known."""
        num = len(request_N)
        return cls(request_N, np.full((num, 1), -1), np.full((num, len(ATTRIBUTES)), np.nan))


@dataclass(frozen=True, slots=True)
class Asked:
    """B requests and their candidates, with the states of users [B] and of candidates [N]."""

    requests: Requests
    items: AskedItems
    states: Mapping[str, tuple[Layout, State]]  # by kind of entity

    def state_of(self, kept: Accumulator, entity: str = "user") -> State:
        """The states of an accumulator of this kind of entity."""
        layout, state_X = self.states[entity]
        of_kept_X: State = state_X[layout.field_of[kept]]
        return of_kept_X


@dataclass(frozen=True, slots=True)
class OnSurface:
    """Of a user's last outcomes those on the surface of the request. Reads [B, m]."""

    outcomes: Recent
    whose: ClassVar = "user"
    of_request: ClassVar = True

    @property
    def of(self) -> LastN:
        return self.outcomes.of

    @property
    def window(self) -> str:
        return f"{self.outcomes.window}, on the surface"

    @property
    def measures(self) -> tuple[str, ...]:
        return self.outcomes.measures

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        return self.outcomes.read_on(asked.state_of(self.of), asked.requests.surface_B)


@dataclass(frozen=True, slots=True)
class InCategories:
    """A user's rates in the categories of the candidate. Reads [N, S], NaN beyond the last one."""

    rates: SlotRates
    whose: ClassVar = "user"
    of_request: ClassVar = False

    @property
    def of(self) -> Accumulator:
        return kept_by(self.rates.over)

    @property
    def window(self) -> str:
        return self.rates.over.window

    @property
    def measure(self) -> str:
        return self.rates.measure

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        read_BKm = self.rates.over.read(asked.state_of(self.of), now_ms_B)
        rate_BK = self.rates.value(read_BKm, now_ms_B)
        items = asked.items
        rate_NS = rate_BK[items.request_N[:, None], np.maximum(items.slot_NS, 0)]
        return np.where(items.slot_NS >= 0, rate_NS, np.nan)


@dataclass(frozen=True, slots=True)
class Here:
    """Of the sums by word that a user or a candidate keeps those of the request's word. Reads
    [B, m] of users, [N, m] of candidates."""

    of: ByWord
    whose: str

    @property
    def of_request(self) -> bool:
        return self.whose == "user"

    @property
    def window(self) -> str:
        return f"{self.of.window}, on the {self.of.field} of the request"

    @property
    def measures(self) -> tuple[str, ...]:
        return self.of.measures

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        code_X = asked.requests.codes(self.of.field)
        if not self.of_request:
            code_X = code_X[asked.items.request_N]
        state_XKm = asked.state_of(self.of, self.whose)
        sums_Xm: Values = state_XKm[np.arange(len(code_X)), self.of.slots(code_X)]
        return sums_Xm.astype(np.float64)


@dataclass(frozen=True, slots=True)
class ContextNumber:
    """A number that the request told (`headrace.declared.NUMBERS`). Reads [B]."""

    field: str
    whose: ClassVar = ""
    of_request: ClassVar = True
    of: ClassVar = None
    window: ClassVar = NOW

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        return asked.requests.number_BK[:, NUMBERS.index(self.field)]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A number of the candidate (`headrace.declared.ATTRIBUTES`). Reads [N]."""

    name: str
    whose: ClassVar = ""
    of_request: ClassVar = False
    of: ClassVar = None
    window: ClassVar = "the catalogue"

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        return asked.items.number_NA[:, ATTRIBUTES.index(self.name)]


def cross_values(crosses: Sequence[Feature], asked: Asked) -> Iterator[NDArray[np.float64]]:
    """The values of each cross, [N]; those that are the same for a request's candidates are made
    once."""
    now_ms_B, request_N = asked.requests.now_ms_B, asked.items.request_N
    views: dict[Any, NDArray[Any]] = {}
    now_ms_N = now_ms_B[request_N]
    for cross in crosses:
        view: Any = cross.aggregator.over
        if view not in views:
            views[view] = view.read(asked, now_ms_B)
        if view.of_request:
            yield cross.aggregator.value(views[view], now_ms_B)[request_N]
        else:
            yield cross.aggregator.value(views[view], now_ms_N)
