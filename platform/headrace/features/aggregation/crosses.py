"""Feature crosses: views of a user's state by the surface or a candidate of one request.

    B requests   N candidates of all requests   S category slots of a candidate, padded with -1
    m measures kept

A cross is read like any feature, of `Asked` in the place of a state: at each request, for each of
its candidates. It keeps nothing of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import Accumulator, State, Values
from headrace.features.aggregation.aggregators import SlotRates, kept_by
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.aggregation.sequence import LastN, Recent


@dataclass(frozen=True, slots=True)
class Asked:
    """B requests: the users' states, the surfaces, the candidates and whose each of them is."""

    layout: Layout
    state_B: State
    surface_B: Ints  # `headrace.keys.surface_code`
    slot_NS: Ints
    request_N: Ints  # in ascending order

    def state_of(self, kept: Accumulator) -> State:
        """[B]: the users' states of an accumulator."""
        state_B: State = self.state_B[self.layout.field_of[kept]]
        return state_B


@dataclass(frozen=True, slots=True)
class OnSurface:
    """Of a user's last outcomes those on the surface of the request. Reads [B, m]."""

    outcomes: Recent

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
        return self.outcomes.read_on(asked.state_of(self.of), asked.surface_B)


@dataclass(frozen=True, slots=True)
class InCategories:
    """A user's rates in the categories of the candidate. Reads [N, S], NaN beyond the last one."""

    rates: SlotRates

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
        rate_NS = rate_BK[asked.request_N[:, None], np.maximum(asked.slot_NS, 0)]
        return np.where(asked.slot_NS >= 0, rate_NS, np.nan)


def cross_values(
    crosses: Sequence[Feature], asked: Asked, now_ms_B: Ints
) -> Iterator[NDArray[np.float64]]:
    """The values of each cross, [N]; those of `OnSurface` are the same for a request's candidates,
    and made once."""
    views = {cross.aggregator.over for cross in crosses}
    reads = {view: view.read(asked, now_ms_B) for view in views}
    now_ms_N = now_ms_B[asked.request_N]
    for cross in crosses:
        read_X = reads[cross.aggregator.over]
        if isinstance(cross.aggregator.over, OnSurface):
            yield cross.aggregator.value(read_X, now_ms_B)[asked.request_N]
        else:
            yield cross.aggregator.value(read_X, now_ms_N)
