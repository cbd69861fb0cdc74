"""Layouts: the record that holds the states of an entity's features, and operations on it.

U states   N facts   Q states read   F dense features
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import Accumulator, Newest, State
from headrace.features.aggregation.aggregators import Aggregator, keeps, kept_by
from headrace.features.aggregation.facts import SHOWN, Facts, Ints
from headrace.features.aggregation.floats import EXTREMES, MAX_SUM, Floats, floats_in, whole
from headrace.features.aggregation.plan import ReadPlan

RADIX: Final = 4  # states as of every fact begin from those as of every fourth, and so on
FEW: Final = 8  # states, of which all numbers are looked at together
SEEN = Newest(SHOWN)  # what a ttl counts from; kept where a feature has one


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of the feature table: a named value of an entity.

    `shape` is () for a number; the ranker reads numbers as they are (`ranked`), and other shapes in
    a form of its own. A value is missing where it is NaN, and where the entity was last shown
    longer ago than `ttl_s`, 0 for never. `default` is what is read then, None for the value of an
    entity that no event was about.
    """

    name: str
    entity: str
    aggregator: Aggregator
    description: str
    shape: tuple[int, ...] = ()
    ranked: bool = True
    ttl_s: int = 0
    default: float | None = None


class Layout:
    """The features of one entity over one state: a numpy record, one field per accumulator.

    The fields have an order of their own, whatever that of the features is. Those of `crosses` that
    read its state do so together with a request.
    """

    def __init__(
        self, entity: str, features: Sequence[Feature], crosses: Sequence[Feature] = ()
    ) -> None:
        self.entity, self.view = entity, f"{entity}_activity"  # the name of its view in Feast
        self.features = tuple(feature for feature in features if feature.entity == entity)
        self.numbers = tuple(feature for feature in self.features if feature.shape == ())
        self.dense = tuple(feature for feature in self.numbers if feature.ranked)
        self.crosses = tuple(c for c in crosses if keeps(c.aggregator.over) and _whose(c) == entity)
        field_of: dict[Accumulator, str] = {}
        for feature in (*self.features, *self.crosses):
            field_of.setdefault(kept_by(feature.aggregator.over), feature.name)
        if any(feature.ttl_s for feature in self.features):
            field_of.setdefault(SEEN, "seen")
        self.field_of = {kept: field_of[kept] for kept in sorted(field_of, key=repr)}
        fields = [(name, kept.dtype) for kept, name in self.field_of.items()]
        self.dtype: np.dtype[Any] = np.dtype(fields)
        self._by_name = {feature.name: feature for feature in self.features}
        self._plans: dict[tuple[str, ...], ReadPlan] = {}  # by the names of features

    @cached_property
    def _empty(self) -> State:
        empty = np.zeros((), self.dtype)
        for kept, name in self.field_of.items():
            empty[name] = kept.initialize()
        return empty

    def new(self, num: int) -> State:
        """[num]: states before any fact."""
        return self._empty.repeat(num)

    def add(self, state_U: State, facts: Facts) -> None:
        """Take facts into the states that they are about, in place."""
        if len(facts):
            for kept, name in self.field_of.items():
                kept.add(state_U[name], facts)

    def merge(self, state_U: State, other_U: State) -> None:
        """Take in, row by row, states that saw other facts, in place."""
        for kept, name in self.field_of.items():
            kept.merge(state_U[name], other_U[name])

    def part_of(self, state_U: State, whole: Layout) -> State:
        """[U]: of states of another layout what this one keeps, too."""
        part_U = np.zeros(len(state_U), self.dtype)
        for kept, name in self.field_of.items():
            part_U[name] = state_U[whole.field_of[kept]]
        return part_U

    def are_possible(self, state_U: State) -> bool:
        """Whether every number in these states is one that facts can lead to."""
        if len(state_U) <= FEW:
            return all(floats.are_possible(state_U) for floats in self._floats)
        return all(_is_possible(state_U[name]) for name in self.field_of.values())

    @cached_property
    def _floats(self) -> list[Floats]:
        return floats_in(self.dtype)

    def add_and_snapshot(self, state_U: State, facts: Facts, entity_Q: Ints, seen_Q: Ints) -> State:
        """Take in facts, sorted by entity, as `add` does, and return states [Q] between them.

        The q-th is that of `entity_Q[q]` after `seen_Q[q]` of the entity's facts, in the order that
        they have here; what is asked for twice is made once. Facts are taken in from the last state
        before them that is there, so the work grows with the facts and not with the square of one
        entity's.
        """
        span = seen_Q.max(initial=0) + 1
        asked_Q, of_asked_Q = np.unique(entity_Q * span + seen_Q, return_inverse=True)
        first_U = np.searchsorted(facts.entity_N, np.arange(len(state_U)))
        before_U = whole(state_U).copy().view(self.dtype)  # together: within rows they lie apart
        log, entity_A, seen_A = (before_U, facts, first_U), asked_Q // span, asked_Q % span
        state_A = self._snapshots(log, entity_A, seen_A, RADIX)
        self.add(state_U, facts)
        return state_A.take(of_asked_Q)

    def _snapshots(
        self, log: tuple[State, Facts, Ints], entity_Q: Ints, seen_Q: Ints, step: int
    ) -> State:
        """[Q]: states between facts, made of those as of each `step`-th fact of an entity, which
        are made likewise of those further apart, and these at last of the states before all."""
        before_U, facts, first_U = log
        state_Q, base_Q = before_U.take(entity_Q), seen_Q // step * step
        if len(later_K := np.flatnonzero(base_Q)):
            span = base_Q.max() + 1
            at_K = entity_Q[later_K] * span + base_Q[later_K]
            at_L, of_K = np.unique(at_K, return_inverse=True)
            state_L = self._snapshots(log, at_L // span, at_L % span, RADIX * step)
            whole(state_Q)[later_K] = whole(state_L).take(of_K)
        num_Q = seen_Q - base_Q
        if len(more_K := np.flatnonzero(num_Q)):
            num_K, start_K = num_Q[more_K], (first_U[entity_Q] + base_Q)[more_K]
            about_P = np.repeat(np.arange(len(more_K)), num_K)
            place_P = np.arange(len(about_P)) - np.repeat(np.cumsum(num_K) - num_K, num_K)
            state_K = state_Q.take(more_K)
            self.add(state_K, facts.take(start_K[about_P] + place_P).about(about_P))
            whole(state_Q)[more_K] = whole(state_K)
        return state_Q

    def values(self, state_Q: State, now_ms_Q: Ints, features: Sequence[Feature]) -> list[Any]:
        """The values of these features at a time of its own per state: [Q, ...] each."""
        kept = self._kept_values(state_Q, now_ms_Q, features)
        for place, feature in enumerate(features):
            if feature.default is not None:
                missing = np.isnan(kept[place])
                kept[place] = np.where(missing, feature.default, kept[place])
            if feature.ttl_s:
                kept[place] = self._unexpired(feature, kept[place], state_Q, now_ms_Q)
        return kept

    def feature(self, name: str) -> Feature:
        """The feature of this name."""
        return self._by_name[name]

    def value(self, name: str, state_Q: State, now_ms_Q: Ints) -> NDArray[Any]:
        """[Q, ...]: one feature at a time of its own per state."""
        value: NDArray[Any] = self.values(state_Q, now_ms_Q, [self.feature(name)])[0]
        return value

    def dense_values(self, state_Q: State, now_ms_Q: Ints) -> NDArray[np.float32]:
        """[Q, F]: the numbers that the ranker reads, in the order of the table."""
        return self._table(self.values(state_Q, now_ms_Q, self.dense), len(state_Q))

    def number_values(self, state_Q: State, now_ms_Q: Ints) -> NDArray[np.float32]:
        """[Q, F]: all features that are numbers, in the order of the table."""
        return self._table(self.values(state_Q, now_ms_Q, self.numbers), len(state_Q))

    def kept_numbers(self, state_Q: State, now_ms_Q: Ints) -> NDArray[np.float32]:
        """[Q, F]: the same without defaults and ttls: NaN where a state has no value."""
        return self._table(self._kept_values(state_Q, now_ms_Q, self.numbers), len(state_Q))

    def with_defaults(self, number_QF: NDArray[np.float32]) -> NDArray[np.float32]:
        """[Q, F]: `kept_numbers` with defaults in the place of NaN."""
        return np.where(np.isnan(number_QF), self._default_F, number_QF)

    @cached_property
    def _default_F(self) -> NDArray[np.float32]:
        defaults = [feature.default for feature in self.numbers]
        return np.array([np.nan if d is None else d for d in defaults], np.float32)

    def _kept_values(
        self, state_Q: State, now_ms_Q: Ints, features: Sequence[Feature]
    ) -> list[Any]:
        names = tuple([feature.name for feature in features])
        plan = self._plans.get(names)
        if plan is None:
            aggregators = [feature.aggregator for feature in features]
            plan = self._plans[names] = ReadPlan.of(aggregators, self.field_of)
        return plan.values(state_Q, now_ms_Q)

    def _unexpired(
        self, feature: Feature, value_Q: NDArray[Any], state_Q: State, now_ms_Q: Ints
    ) -> NDArray[Any]:
        """The values; those older than the feature's ttl become its default or, without one, the
        value of a new state."""
        expired_Q = state_Q[self.field_of[SEEN]] < now_ms_Q - feature.ttl_s * 1_000
        value_Q = value_Q.copy()
        if feature.default is not None:
            value_Q[expired_Q] = feature.default
        else:
            never_K, now_ms_K = self.new(int(expired_Q.sum())), now_ms_Q[expired_Q]
            value_Q[expired_Q] = self._kept_values(never_K, now_ms_K, [feature])[0]
        return value_Q

    @staticmethod
    def _table(columns: Sequence[Any], num: int) -> NDArray[np.float32]:
        table = np.empty((num, len(columns)), dtype=np.float32)
        for place, column_Q in enumerate(columns):
            table[:, place] = column_Q
        return table


def _whose(cross: Feature) -> str:
    view: Any = cross.aggregator.over
    return str(view.whose)


def _is_possible(state_X: NDArray[Any]) -> bool:
    """Infinite is only an extreme (`Extremes`) of no values."""
    names = state_X.dtype.names
    if names and EXTREMES <= set(names):
        return not any(np.isnan(state_X[name]).any() for name in EXTREMES)
    if names:
        return all(_is_possible(state_X[name]) for name in names)
    if state_X.dtype.kind != "f" or not state_X.size:
        return True
    return bool(state_X.min() >= -MAX_SUM and state_X.max() <= MAX_SUM)  # neither with a NaN
