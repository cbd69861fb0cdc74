"""Layouts: states of all features together, and as of between any two facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_facts import NUM_SLOTS, START_MS, TILE_MS, Fact, columns, made_up, randoms

from headrace.features.aggregation.accumulators import (
    Decayed,
    Extremes,
    Lifetime,
    Newest,
    State,
    Tiles,
)
from headrace.features.aggregation.aggregators import (
    History,
    LogOf,
    Part,
    Rate,
    SinceLast,
    SlotRates,
    TopKeys,
)
from headrace.features.aggregation.facts import CLICK, SHOWN
from headrace.features.aggregation.layout import RADIX, Feature, Layout
from headrace.features.aggregation.sequence import LastN, Recent
from headrace.features.aggregation.sketches import BySlot, Distinct
from headrace.features.aggregation.top_items import TopItems
from headrace.features.table import LAYOUTS

THING = "thing"
NUM = 4
LAST = LastN(5)
LIFE = Lifetime((CLICK, SHOWN))
EVERY = Layout(
    THING,
    [
        Feature("rate", THING, Rate(CLICK, LIFE), "ever"),
        Feature("again", THING, Rate(CLICK, Lifetime((CLICK, SHOWN)), 0.1), "shares its state"),
        Feature("recent", THING, Rate(CLICK, Recent(LAST, 3)), "a view of the sequence"),
        Feature("window", THING, Rate(CLICK, Tiles(TILE_MS, 5)), "of five tiles"),
        Feature("lately", THING, Rate(CLICK, Decayed(TILE_MS)), "decayed"),
        Feature("idle", THING, SinceLast(Newest()), "time", ranked=False),
        Feature("greatest", THING, Part(Extremes(), 1), "a value", ranked=False),
        Feature("items", THING, LogOf(Distinct(16)), "different ones"),
        Feature("slots", THING, SlotRates(BySlot(NUM_SLOTS)), "rates", shape=(NUM_SLOTS,)),
        Feature("history", THING, History(LAST), "the last ones", shape=(4, 5)),
        Feature("top", THING, TopKeys(TopItems(20)), "the most clicked", shape=(3,)),
        Feature("other", "another entity", Rate(CLICK, Lifetime()), "of another entity"),
    ],
)
layouts = pytest.mark.parametrize("layout", [EVERY, *LAYOUTS], ids=lambda layout: layout.entity)


def facts_of(random: Random, num: int) -> list[Fact]:
    """Facts sorted by entity, over days, about few items; the first entity has most of them."""
    facts = []
    for fact in (made_up(random) for _ in range(num)):
        entity, item = random.choice([0, 0, 0, *range(NUM)]), random.randint(1, 8)
        time_ms = START_MS + (fact.time_ms - START_MS) * random.choice([1, 1_000, 20_000])
        facts.append(replace(fact, entity=entity, item=item, time_ms=time_ms))
    return sorted(facts, key=lambda fact: fact.entity)


def leaves(state: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The arrays of numbers in states."""
    for name in state.dtype.names or ():
        yield from leaves(state[name])
    if state.dtype.names is None:
        yield state


def assert_same(one: State, other: State) -> None:
    """To the bit; decayed sums, which are float64 and no integers, up to rounding."""
    assert one.dtype == other.dtype and one.shape == other.shape
    for left, right in zip(leaves(one), leaves(other), strict=True):
        exact = left.dtype != np.float64
        assert np.array_equal(left, right) if exact else np.allclose(left, right, rtol=1e-9)


def one_by_one(layout: Layout, state_U: State, log: list[Fact]) -> dict[tuple[int, int], State]:
    """The state of each entity after each of its facts, each added alone; changes `state_U`."""
    after = {(entity, 0): state_U[[entity]] for entity in range(len(state_U))}
    seen = [0] * len(state_U)
    facts = columns(log)
    for place, fact in enumerate(log):
        layout.add(state_U, facts.take(np.array([place])))
        seen[fact.entity] += 1
        after[fact.entity, seen[fact.entity]] = state_U[[fact.entity]]
    return after


@layouts
@settings(max_examples=8)
@given(
    num=st.sampled_from([0, 1, RADIX, RADIX**2 - 1, RADIX**2, RADIX**3 + 1, 3 * RADIX**3]),
    num_asked=st.integers(0, 12),
    random=randoms(),
)
def test_states_as_of_are_those_of_a_loop_that_adds_one_fact_after_another(
    layout: Layout, num: int, num_asked: int, random: Random
) -> None:
    log, before = facts_of(random, num), facts_of(random, 20)
    state_U, looped_U, whole_U = layout.new(NUM), layout.new(NUM), layout.new(NUM)
    for state in (state_U, looped_U, whole_U):
        layout.add(state, columns(before))
    after = one_by_one(layout, looped_U, log)
    questions = random.choices(list(after), k=num_asked)  # any order, and some more than once
    asked_Q2 = np.array(questions, np.int64).reshape(-1, 2)
    state_Q = layout.add_and_snapshot(state_U, columns(log), asked_Q2[:, 0], asked_Q2[:, 1])
    assert len(state_Q) == num_asked
    for place, question in enumerate(questions):
        assert_same(state_Q[[place]], after[question])
    layout.add(whole_U, columns(log))
    assert_same(state_U, whole_U)


@layouts
def test_as_of_the_first_and_after_the_last_fact(layout: Layout) -> None:
    log = [Fact(time_ms=START_MS + n, item=n % 7 + 1) for n in range(2 * RADIX**2)]
    state_U = layout.new(2)
    state_Q = layout.add_and_snapshot(
        state_U, columns(log), np.array([0, 0, 1]), np.array([2 * RADIX**2, 0, 0])
    )
    assert_same(state_Q[:1], state_U[:1])
    assert state_Q[1:].tobytes() == layout.new(2).tobytes()


@layouts
def test_nothing_asked_and_nothing_heard(layout: Layout) -> None:
    state_U, none = layout.new(NUM), np.zeros(0, np.int64)
    assert layout.add_and_snapshot(state_U, columns([]), none, none).shape == (0,)
    layout.add(state_U, columns([]))
    assert state_U.tobytes() == layout.new(NUM).tobytes()
    assert layout.new(0).shape == (0,) and layout.new(0).dtype == layout.dtype


@layouts
@settings(max_examples=10)
@given(random=randoms())
def test_a_layout_adds_and_merges_as_its_accumulators_do(layout: Layout, random: Random) -> None:
    log, other = facts_of(random, 60), facts_of(random, 60)
    state_U, other_U = layout.new(NUM), layout.new(NUM)
    layout.add(state_U, columns(log))
    layout.add(other_U, columns(other))
    merged_U = state_U.copy()
    layout.merge(merged_U, other_U)
    for kept, name in layout.field_of.items():
        alone_U, theirs_U = layout.new(NUM)[name].copy(), layout.new(NUM)[name].copy()
        kept.add(alone_U, columns(log))
        assert_same(state_U[name].copy(), alone_U)
        kept.add(theirs_U, columns(other))
        kept.merge(alone_U, theirs_U)
        assert_same(merged_U[name].copy(), alone_U)


@layouts
def test_each_accumulator_has_a_field_of_its_own(layout: Layout) -> None:
    fields = layout.dtype.fields or {}
    assert set(fields) == set(layout.field_of.values())
    assert layout.dtype.itemsize == sum(kept.dtype.itemsize for kept in layout.field_of)
    for kept, name in layout.field_of.items():
        assert fields[name][0] == np.dtype(kept.dtype)


def test_features_that_read_the_same_accumulator_share_its_state() -> None:
    assert EVERY.field_of[LIFE] == "rate" and EVERY.field_of[LAST] == "recent"
    assert not {"again", "history", "other"} & set(EVERY.dtype.names or ())


@layouts
def test_dense_values_are_the_numbers_that_are_ranked_in_the_order_of_the_table(
    layout: Layout,
) -> None:
    state_U = layout.new(NUM)
    layout.add(state_U, columns(facts_of(Random(0), 80)))
    now_ms_U = START_MS + np.arange(NUM) * 3 * TILE_MS
    numbers = [feature for feature in layout.features if feature.shape == ()]
    for table, features in (
        (layout.number_values(state_U, now_ms_U), numbers),
        (layout.dense_values(state_U, now_ms_U), [f for f in numbers if f.ranked]),
    ):
        assert table.shape == (NUM, len(features)) and table.dtype == np.float32
        for column, feature in enumerate(features):
            value_U = layout.value(feature.name, state_U, now_ms_U)
            expected_U = value_U.astype(np.float32)
            assert np.array_equal(table[:, column], expected_U, equal_nan=True), feature.name


@layouts
def test_values_have_the_shapes_that_their_features_say(layout: Layout) -> None:
    now_ms_U = np.full(NUM, START_MS)
    values = layout.values(layout.new(NUM), now_ms_U, layout.features)
    for feature, value_U in zip(layout.features, values, strict=True):
        assert value_U.shape == (NUM, *feature.shape), feature.name
