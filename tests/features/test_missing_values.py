"""Missing values: what `ttl_s` and `default` of a feature's row do where it is read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headrace.features.aggregation.accumulators import Extremes, Lifetime, State
from headrace.features.aggregation.aggregators import Aggregator, Part, Rate, Sum
from headrace.features.aggregation.facts import CLICK, MEASURES, SHOWN, Facts
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.table import LAYOUTS

SHOWN_MS = 1_714_554_000_000
TTL_S = 60
SUM = Sum(SHOWN, Lifetime())
RATE = Rate(CLICK, Lifetime())
GREATEST = Part(Extremes(), 1)


def layout(aggregator: Aggregator, ttl_s: int = 0, default: float | None = None) -> Layout:
    row = Feature("it", "user", aggregator, "a feature", ttl_s=ttl_s, default=default)
    return Layout("user", [row, Feature("other", "user", SUM, "a feature of no ttl")])


def shown_once(layout: Layout) -> State:
    """[1]: the state of an entity that was shown and clicked once, at `SHOWN_MS`."""
    state_1, zero_1 = layout.new(1), np.zeros(1, np.int64)
    measures = [[{SHOWN: 1, CLICK: 1}.get(name, 0) for name in MEASURES]]
    facts = Facts(
        entity_N=zero_1,
        time_ms_N=zero_1 + SHOWN_MS,
        item_key_N=zero_1 + 7,
        position_N=zero_1,
        surface_N=zero_1,
        measure_NM=np.array(measures, np.float32),
        settled_N=np.array([True]),
        slot_NS=np.full((1, 1), -1),
        word_NW=np.zeros((1, 0), np.int64),
    )
    layout.add(state_1, facts)
    return state_1


def read(layout: Layout, state_1: State, age_s: float) -> list[float]:
    """Both features so long after `SHOWN_MS`; every way to read them must agree."""
    now_ms_1 = np.array([SHOWN_MS + int(age_s * 1_000)])
    (numbers_F,) = layout.number_values(state_1, now_ms_1)
    assert np.array_equal(numbers_F, layout.dense_values(state_1, now_ms_1)[0], equal_nan=True)
    alone = [layout.value(name, state_1, now_ms_1)[0] for name in ("it", "other")]
    assert numbers_F.tolist() == pytest.approx(alone, nan_ok=True)
    return [float(number) for number in numbers_F]


def test_a_value_counts_until_its_ttl_is_over_and_others_are_not_concerned() -> None:
    short = layout(SUM, ttl_s=TTL_S)
    state_1 = shown_once(short)
    assert read(short, state_1, TTL_S) == [1, 1]
    assert read(short, state_1, TTL_S + 0.001) == [0, 1]


def test_reading_an_expired_value_does_not_change_the_state() -> None:
    short = layout(Part(Lifetime(), 0), ttl_s=TTL_S)  # whose value is the state itself
    state_1 = shown_once(short)
    assert read(short, state_1, 2 * TTL_S)[0] == 0
    assert read(short, state_1, 0)[0] == 1


def test_an_expired_value_without_a_default_is_that_of_an_unknown_entity() -> None:
    short = layout(RATE, ttl_s=TTL_S)
    state_1 = shown_once(short)
    assert read(short, state_1, 0)[0] == pytest.approx((1 + 0.5 * 10) / (1 + 10))
    assert read(short, state_1, 2 * TTL_S)[0] == 0.5 == read(short, short.new(1), 0)[0]


def test_an_expired_value_with_a_default_is_the_default() -> None:
    short = layout(SUM, ttl_s=TTL_S, default=-3.0)
    state_1 = shown_once(short)
    assert read(short, state_1, 0)[0] == 1
    assert read(short, state_1, 2 * TTL_S)[0] == -3
    assert read(short, short.new(1), 0)[0] == -3  # never shown: older than every ttl


def test_a_value_without_a_ttl_stays() -> None:
    for_ever = layout(SUM)
    assert read(for_ever, shown_once(for_ever), 10 * 365 * 86_400)[0] == 1


def test_a_default_stands_where_there_is_no_value() -> None:
    without, with_one = layout(GREATEST), layout(GREATEST, default=0.25)
    assert math.isnan(read(without, shown_once(without), 0)[0])
    assert read(with_one, shown_once(with_one), 0)[0] == 0.25


def test_what_is_kept_still_says_that_there_was_no_value() -> None:
    with_one = layout(GREATEST, default=0.25)
    state_1, now_ms_1 = shown_once(with_one), np.array([SHOWN_MS])
    kept_1F = with_one.kept_numbers(state_1, now_ms_1)
    assert math.isnan(kept_1F[0, 0]) and kept_1F[0, 1] == 1
    filled_1F = with_one.with_defaults(kept_1F)
    assert np.array_equal(filled_1F, with_one.number_values(state_1, now_ms_1))


def test_a_ttl_costs_one_time_per_state_and_nothing_where_there_is_none() -> None:
    plain, short = layout(SUM), layout(SUM, ttl_s=TTL_S)
    assert short.dtype.itemsize == plain.dtype.itemsize + 8


@pytest.mark.parametrize("of", LAYOUTS, ids=lambda of: str(of.entity))
def test_no_number_of_the_table_is_missing_where_it_is_read(of: Layout) -> None:
    values_1F = of.number_values(of.new(1), np.array([SHOWN_MS]))
    assert np.isfinite(values_1F).all()
