"""The plan of a reading: each view of a state once, and the rates of one view together.

Q states read   m measures kept   n rates
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import Accumulator, State, Values
from headrace.features.aggregation.aggregators import (
    TAKEN_BACK,
    Aggregator,
    Rate,
    Reading,
    kept_by,
)
from headrace.features.aggregation.facts import SHOWN, Ints


class Rates:
    """Several rates of one view, with the places of their features; `values` are those of each."""

    def __init__(self, rates: Sequence[tuple[int, Rate]]) -> None:
        self.places, made = [place for place, _ in rates], [rate for _, rate in rates]
        measures = made[0].over.measures
        self._columns = [measures.index(rate.measure) for rate in made]
        self._shown = measures.index(SHOWN)
        self._before_n = np.array([rate.prior * rate.strength for rate in made])
        self._strength_n = np.array([rate.strength for rate in made])
        least = [0.0 if rate.measure in TAKEN_BACK else -np.inf for rate in made]
        self._least_n = np.array(least)

    def values(self, read_Qm: Values) -> Values:
        """[Q, n]: as `Rate.value` has each of them."""
        of_Qn: Values = read_Qm.take(self._columns, axis=1).astype(np.float64)
        np.maximum(of_Qn, self._least_n, out=of_Qn)
        of_Qn += self._before_n
        per_Qn = read_Qm[:, self._shown, None].astype(np.float64) + self._strength_n
        if per_Qn.min(initial=1) > 0:
            of_Qn /= per_Qn
            return of_Qn
        nothing_Qn = np.full_like(of_Qn, np.nan)
        rate_Qn: Values = np.divide(of_Qn, per_Qn, out=nothing_Qn, where=per_Qn > 0)
        return rate_Qn


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """A view, the field of the states that it reads, and the features that are made of it."""

    view: Reading
    field: str
    rates: Rates | None
    others: tuple[tuple[int, Aggregator], ...]  # with their places


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The views that some features read, each once."""

    views: tuple[ViewPlan, ...]
    num: int

    @classmethod
    def of(cls, aggregators: Sequence[Aggregator], field_of: Mapping[Accumulator, str]) -> ReadPlan:
        """The plan for these features of states that are kept in these fields."""
        by_view: dict[Reading, list[tuple[int, Aggregator]]] = {}
        for place, aggregator in enumerate(aggregators):
            by_view.setdefault(aggregator.over, []).append((place, aggregator))
        views = (
            _view_plan(view, field_of[kept_by(view)], of_view) for view, of_view in by_view.items()
        )
        return cls(tuple(views), len(aggregators))

    def values(self, state_Q: State, now_ms_Q: Ints) -> list[NDArray[Any]]:
        """The value of each feature, [Q, ...] each, at a time of its own per state."""
        values: list[Any] = [None] * self.num
        for plan in self.views:
            read_Q = plan.view.read(state_Q[plan.field], now_ms_Q)
            if plan.rates is not None:
                for place, value_Q in zip(
                    plan.rates.places, plan.rates.values(read_Q).T, strict=True
                ):
                    values[place] = value_Q
            for place, aggregator in plan.others:
                values[place] = aggregator.value(read_Q, now_ms_Q)
        return values


def _view_plan(view: Reading, field: str, of_view: Sequence[tuple[int, Aggregator]]) -> ViewPlan:
    rates = [(place, one) for place, one in of_view if isinstance(one, Rate)]
    if len(rates) < 2:
        return ViewPlan(view, field, None, tuple(of_view))
    others = tuple((place, one) for place, one in of_view if not isinstance(one, Rate))
    return ViewPlan(view, field, Rates(rates), others)
