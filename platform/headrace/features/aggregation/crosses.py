"""Feature crosses: views of states by one request and its candidates.

    B requests   N candidates of all requests   S category slots, padded with -1   m measures kept
    G groups of a candidate: its authors, then its categories   P states of groups

A cross is read like any feature, of `Asked` in the place of a state: at each request, for each of
its candidates. It keeps nothing of its own. A view says whose state it reads (`whose`, empty where
it reads none), and whether it is the same for all candidates of a request (`of_request`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from headrace.events.declared import ATTRIBUTES, NUMBERS
from headrace.features.aggregation.accumulators import Accumulator, Decayed, Lifetime, Tiles, Values
from headrace.features.aggregation.aggregators import SlotRates, kept_by
from headrace.features.aggregation.asked import Asked
from headrace.features.aggregation.by_word import ByWord
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Feature
from headrace.features.aggregation.sequence import LastN, Recent

NOW: Final = "the request"
AUTHOR: Final = "author"


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
class OfGroups:
    """The sums that the candidate's authors or its categories keep, of all of them together; where
    they are kept by word, those of the request's. Reads [N, m]."""

    of: Lifetime | Tiles | Decayed | ByWord
    groups: str  # "author" or "category"
    whose: ClassVar = "category"
    of_request: ClassVar = False

    @property
    def window(self) -> str:
        on = f", on the {self.of.field} of the request" if isinstance(self.of, ByWord) else ""
        return f"{self.of.window}{on}, of the {self.groups}"

    @property
    def measures(self) -> tuple[str, ...]:
        return self.of.measures

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        request_N, groups = asked.items.request_N, asked.groups
        if groups is None or not groups.place_NG.size:
            return np.zeros((len(request_N), len(self.measures)))
        state_P, place_NG = asked.state_of(self.of, self.whose), groups.place_NG
        some_NG = np.maximum(place_NG, 0)
        if isinstance(self.of, ByWord):
            slot_N = self.of.slots(asked.requests.codes(self.of.field))[request_N]
            sums_NGm = state_P[some_NG, slot_N[:, None]].astype(np.float64)
        else:
            now_ms_X = np.repeat(now_ms_B[request_N], place_NG.shape[1])
            sums_Xm = self.of.read(state_P[some_NG.ravel()], now_ms_X)
            sums_NGm = sums_Xm.reshape(*place_NG.shape, -1)
        counts_NG = (place_NG >= 0) & (groups.is_author_NG == (self.groups == AUTHOR))
        sums_Nm: Values = (sums_NGm * counts_NG[..., None]).sum(1)
        return sums_Nm


@dataclass(frozen=True, slots=True)
class ContextNumber:
    """A number that the request told (`headrace.events.declared.NUMBERS`). Reads [B]."""

    field: str
    whose: ClassVar = ""
    of_request: ClassVar = True
    of: ClassVar = None
    window: ClassVar = NOW

    def read(self, asked: Asked, now_ms_B: Ints) -> Values:
        return asked.requests.number_BK[:, NUMBERS.index(self.field)]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A number of the candidate (`headrace.events.declared.ATTRIBUTES`). Reads [N]."""

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
    views: dict[int, NDArray[Any]] = {}  # by which object they are: a hash takes longer
    now_ms_N = now_ms_B[request_N]
    for cross in crosses:
        view: Any = cross.aggregator.over
        read = views.get(id(view))
        if read is None:
            read = views[id(view)] = view.read(asked, now_ms_B)
        if view.of_request:
            yield cross.aggregator.value(read, now_ms_B)[request_N]
        else:
            yield cross.aggregator.value(read, now_ms_N)
