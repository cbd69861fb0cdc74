"""Aggregators: each value is what its formula gives for a recount of the facts."""

from __future__ import annotations

from math import log1p
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import (
    NUM_ENTITIES,
    NUM_SLOTS,
    START_MS,
    TILE_MS,
    Fact,
    fresh,
    logs,
    newest_first,
    of_entity,
    randoms,
    reading_times_ms,
    rearranged,
    state_of,
    total,
)

from headrace.features.aggregation.accumulators import Decayed, Extremes, Lifetime, Newest, Tiles
from headrace.features.aggregation.aggregators import (
    Aggregator,
    History,
    LogOf,
    LogSum,
    Part,
    Rate,
    SinceLast,
    SlotRates,
    Sum,
    TopKeys,
    kept_by,
)
from headrace.features.aggregation.facts import ACTIONS, CLICK, MEASURES, SHOWN, Ints
from headrace.features.aggregation.sequence import LastN, Recent, Session
from headrace.features.aggregation.sketches import BySlot, Distinct
from headrace.features.aggregation.top_items import TopItems

LIFE = Lifetime(MEASURES)
LAST = LastN(6)
SLOTS = BySlot(NUM_SLOTS)
TOP = TopItems(50)
EVERY: list[Aggregator] = [
    Sum("like", LIFE), LogSum(SHOWN, LIFE), Rate(CLICK, LIFE), Rate(CLICK, Tiles(TILE_MS, 5)),
    Rate(CLICK, Decayed(TILE_MS)), Rate("like", Recent(LAST, 3)), LogSum(SHOWN, Session(LAST)),
    SinceLast(Newest(CLICK)), Part(Extremes(), 1), LogOf(Distinct()), SlotRates(SLOTS),
    History(LAST), TopKeys(TOP),
]  # fmt: skip

every = pytest.mark.parametrize("aggregator", EVERY, ids=repr)
examples = settings(max_examples=30)
recount = settings(max_examples=50)


def values(aggregator: Aggregator, now_ms_U: Ints, *batches: list[Fact]) -> Any:
    """[NUM_ENTITIES, ...]: the feature of each entity at its time, after these batches."""
    read_U = aggregator.over.read(state_of(kept_by(aggregator.over), *batches), now_ms_U)
    return aggregator.value(read_U, now_ms_U)


def per_entity(log: list[Fact]) -> list[list[Fact]]:
    return [of_entity(log, entity) for entity in range(NUM_ENTITIES)]


@every
@examples
@given(log=logs(), now_ms_U=reading_times_ms(), random=randoms())
def test_neither_the_order_of_arrival_nor_the_batches_matter(
    aggregator: Aggregator, log: list[Fact], now_ms_U: Ints, random: Random
) -> None:
    arrived = values(aggregator, now_ms_U, *rearranged(log, random))
    expected = values(aggregator, now_ms_U, log)
    assert np.allclose(arrived, expected, rtol=1e-9, atol=1e-12, equal_nan=True)


@every
@examples
@given(log=logs(), rows=st.lists(st.integers(0, NUM_ENTITIES - 1), max_size=6), after_ms=st.data())
def test_the_value_of_a_stack_is_the_value_of_each(
    aggregator: Aggregator, log: list[Fact], rows: list[int], after_ms: st.DataObject
) -> None:
    state_U, row_Q = state_of(kept_by(aggregator.over), log), np.array(rows, np.int64)
    now_ms_Q = START_MS + np.array([after_ms.draw(st.integers(0, 2**40)) for _ in rows], np.int64)
    value_Q = aggregator.value(aggregator.over.read(state_U[row_Q], now_ms_Q), now_ms_Q)
    assert len(value_Q) == len(rows)
    for place, row in enumerate(rows):
        now_ms_1 = now_ms_Q[place : place + 1]
        read_1 = aggregator.over.read(state_U[row : row + 1], now_ms_1)
        assert value_Q[place].tobytes() == aggregator.value(read_1, now_ms_1)[0].tobytes()


@every
def test_an_entity_before_its_first_fact_has_the_default(aggregator: Aggregator) -> None:
    now_ms_1 = np.array([START_MS])
    read_1 = aggregator.over.read(fresh(kept_by(aggregator.over), 1), now_ms_1)
    (value,) = aggregator.value(read_1, now_ms_1)
    match aggregator:
        case Rate(prior=prior):
            assert value == pytest.approx(prior)
        case SinceLast(default_s=default_s):
            assert value == pytest.approx(log1p(default_s))
        case Part():
            assert np.isnan(value)
        case _:
            assert not np.any(value)


@recount
@given(log=logs(), now_ms_U=reading_times_ms(), measure=st.sampled_from(MEASURES))
def test_sums_and_their_logarithms(log: list[Fact], now_ms_U: Ints, measure: str) -> None:
    least = 0.0 if measure in ACTIONS[1:] else -np.inf  # more may be taken back than came
    expected_U = np.array([max(total(seen, measure), least) for seen in per_entity(log)])
    assert np.array_equal(values(Sum(measure, LIFE), now_ms_U, log), expected_U)
    logs_U = values(LogSum(measure, LIFE), now_ms_U, log)
    assert logs_U == pytest.approx(np.log1p(np.maximum(expected_U, 0.0)))


@recount
@given(
    log=logs(),
    now_ms_U=reading_times_ms(),
    prior=st.floats(0, 1),
    strength=st.sampled_from([0.0, 1.0, 20.0]),
)
def test_a_rate_is_shrunk_to_its_prior(
    log: list[Fact], now_ms_U: Ints, prior: float, strength: float
) -> None:
    rate_U = values(Rate(CLICK, LIFE, prior, strength), now_ms_U, log)
    for rate, seen in zip(rate_U, per_entity(log), strict=True):
        shown = total(seen, SHOWN) + strength
        expected = (total(seen, CLICK) + prior * strength) / shown if shown else np.nan
        assert rate == pytest.approx(expected, nan_ok=True)


def test_of_what_was_taken_back_a_sum_and_a_rate_are_never_below_0() -> None:
    log = [Fact(purchase=1.0), Fact(shown=0.0, purchase=-1.0, time_ms=START_MS + 10 * TILE_MS)]
    now_ms_U, hour = np.full(NUM_ENTITIES, log[1].time_ms), Tiles(TILE_MS, 5, MEASURES)
    assert values(Sum("purchase", LIFE), now_ms_U, log[:1])[0] == 1
    for over in (LIFE, hour):
        assert values(Sum("purchase", over), now_ms_U, log)[0] == 0
        assert values(Rate("purchase", over, 0.1, 5.0), now_ms_U, log)[0] <= 0.1


@recount
@given(log=logs(), now_ms_U=reading_times_ms())
def test_since_last_is_the_time_since_the_newest_and_never_negative(
    log: list[Fact], now_ms_U: Ints
) -> None:
    since_U = values(SinceLast(Newest(CLICK), default_s=99.0), now_ms_U, log)
    for since, now_ms, seen in zip(since_U, now_ms_U.tolist(), per_entity(log), strict=True):
        ages_ms = [max(now_ms - fact.time_ms, 0) for fact in seen if fact.click]
        assert since == pytest.approx(log1p(min(ages_ms, default=99_000) / 1_000))


@recount
@given(log=logs(), now_ms_U=reading_times_ms())
def test_slot_rates_are_centred_on_the_rate_over_all_slots(log: list[Fact], now_ms_U: Ints) -> None:
    rates_UK = values(SlotRates(SLOTS, strength=4.0), now_ms_U, log)
    for rates_K, seen in zip(rates_UK, per_entity(log), strict=True):
        inside = [[fact for fact in seen if slot in fact.slots] for slot in range(NUM_SLOTS)]
        counts = [(total(facts, SHOWN), total(facts, CLICK)) for facts in inside]
        shown, clicked = np.sum(counts, axis=0)
        overall = (clicked + 0.5) / (shown + 1.0)
        expected = [(c + 4.0 * overall) / (s + 4.0) - overall for s, c in counts]
        assert rates_K == pytest.approx(expected)


@recount
@given(log=logs(), now_ms_U=reading_times_ms())
def test_a_history_has_keys_ages_outcomes_and_positions(log: list[Fact], now_ms_U: Ints) -> None:
    history_U4L = values(History(LAST), now_ms_U, log)
    assert history_U4L.shape == (NUM_ENTITIES, 4, LAST.length) and history_U4L.dtype == np.int64
    for history_4L, now_ms, seen in zip(
        history_U4L, now_ms_U.tolist(), per_entity(log), strict=True
    ):
        outcomes = newest_first(seen, LAST.length)
        expected = [
            [f.item, max(now_ms - f.time_ms, 0), f.outcome, min(f.position, 255)] for f in outcomes
        ]
        expected += [[0, 0, 0, 0]] * (LAST.length - len(outcomes))
        assert history_4L.T.tolist() == expected


@recount
@given(log=logs(), now_ms_U=reading_times_ms(), num=st.integers(1, 5))
def test_top_keys_are_the_items_with_the_greatest_sums(
    log: list[Fact], now_ms_U: Ints, num: int
) -> None:
    keys_Uk = values(TopKeys(TOP, num), now_ms_U, log)
    for keys_k, seen in zip(keys_Uk, per_entity(log), strict=True):
        sums = {f.item: total([g for g in seen if g.item == f.item], CLICK) for f in seen}
        best = sorted((-clicks, item) for item, clicks in sums.items() if clicks)
        expected = [item for _, item in best[:num]]
        assert keys_k.tolist() == expected + [0] * (num - len(expected))


def test_a_part_and_a_logarithm_of_what_is_read() -> None:
    now_ms_U = np.full(NUM_ENTITIES, START_MS)
    log = [Fact(value=2.0, time_ms=START_MS - 1), Fact(value=-1.0, item=2)]
    parts = [values(Part(Extremes(), index), now_ms_U, log)[0] for index in range(3)]
    assert parts == [-1.0, 2.0, -1.0]
    assert values(LogOf(Distinct(256)), now_ms_U, log)[0] == pytest.approx(log1p(2), abs=0.01)
