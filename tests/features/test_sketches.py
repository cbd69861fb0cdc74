"""Sketches: near enough in few bytes, and how near."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import (
    NUM_ENTITIES,
    NUM_SLOTS,
    Fact,
    logs,
    of_entity,
    randoms,
    reading_times_ms,
    rearranged,
    state_of,
    total,
)

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import MEASURES, Facts, Ints
from headrace.features.aggregation.sketches import BySlot, Distinct
from headrace.features.aggregation.top_items import FadingTopItems, TopItems

NOW_U = np.zeros(NUM_ENTITIES, np.int64)
examples = settings(max_examples=60)


def distinct_of(distinct: Distinct, keys: Ints) -> float:
    """The estimate for one entity that saw these items."""
    num = len(keys)
    none = np.zeros(num, np.int64)
    facts = Facts(
        none, none, keys, none, none, np.ones((num, len(MEASURES)), np.float32), none > 0,
        np.zeros((num, 0), np.int64), np.zeros((num, 0), np.int64),
    )  # fmt: skip
    state_1R = distinct.initialize()[None]
    distinct.add(state_1R, facts)
    return float(distinct.read(state_1R, none[:1])[0])


def random_keys(seed: int, num: int) -> Ints:
    return np.random.default_rng(seed).integers(1, 2**63 - 1, num)


@pytest.mark.parametrize("num_registers", [64, 256])
@pytest.mark.parametrize("num", [100, 1_000, 30_000])
def test_distinct_items_are_counted_within_three_standard_errors(
    num_registers: int, num: int
) -> None:
    distinct = Distinct(num_registers)
    standard_error = 1.04 / np.sqrt(num_registers)
    errors = [distinct_of(distinct, random_keys(seed, num)) / num - 1 for seed in range(40)]
    assert np.abs(errors).max() <= 3 * standard_error
    assert np.abs(np.mean(errors)) <= standard_error / 2


def test_few_distinct_items_are_counted_nearly_exactly() -> None:
    distinct = Distinct(256)
    for num in range(9):
        estimates = [distinct_of(distinct, random_keys(seed, num)) for seed in range(20)]
        assert np.median(estimates) == pytest.approx(num, abs=0.2)
        assert np.abs(np.array(estimates) - num).max() <= 1.2


def test_the_same_item_again_is_no_other_item() -> None:
    keys = random_keys(0, 500)
    again = np.concatenate([keys, keys[::-1], keys[:7]])
    assert distinct_of(Distinct(), again) == distinct_of(Distinct(), keys)


def clicks_of(log: list[Fact]) -> Counter[int]:
    sums: Counter[int] = Counter()
    for fact in log:
        sums[fact.item] += int(fact.click)
    return +sums


def kept(state_U: State, entity: int) -> dict[int, float]:
    """Keys and sums of an entity, in the order of the state."""
    keys, sums = state_U["key"][entity].tolist(), state_U["sum"][entity].tolist()
    assert all((key == 0) == (sum_ == 0) for key, sum_ in zip(keys, sums, strict=True))
    assert sums == sorted(sums, reverse=True)
    return {key: sum_ for key, sum_ in zip(keys, sums, strict=True) if key}


def clicked_items(num_items: int) -> st.SearchStrategy[list[Fact]]:
    one = st.builds(
        Fact,
        entity=st.integers(0, NUM_ENTITIES - 1),
        item=st.integers(1, num_items),
        click=st.sampled_from([0.0, 1.0, 1.0, 3.0]),
    )
    return st.lists(one, max_size=60)


@examples
@given(log=clicked_items(num_items=4), random=randoms())
def test_top_items_are_exact_up_to_the_capacity(log: list[Fact], random: Random) -> None:
    top = TopItems(capacity=4)
    state_U = top.read(state_of(top, *rearranged(log, random)), NOW_U)
    for entity in range(NUM_ENTITIES):
        by_sum = sorted(clicks_of(of_entity(log, entity)).items(), key=lambda kv: (-kv[1], kv[0]))
        assert list(kept(state_U, entity).items()) == by_sum


@settings(max_examples=150)
@given(log=clicked_items(num_items=9), random=randoms())
def test_beyond_the_capacity_a_sum_is_too_low_by_a_bounded_part_of_all(
    log: list[Fact], random: Random
) -> None:
    top = TopItems(capacity=3)
    batches = rearranged(log, random)
    half = len(batches) // 2
    state_U = state_of(top, *batches[:half])
    top.merge(state_U, state_of(top, *batches[half:]))
    for entity in range(NUM_ENTITIES):
        true, found = clicks_of(of_entity(log, entity)), kept(state_U, entity)
        bound = (true.total() - sum(found.values())) / (top.capacity + 1)
        for item in range(1, 10):
            assert true[item] - bound <= found.get(item, 0) <= true[item]


def test_an_item_that_becomes_popular_is_found_however_slowly_it_comes() -> None:
    top = TopItems(capacity=3)
    old = [Fact(item=item, click=5.0) for item in (1, 2, 3)]
    state_U = state_of(top, old, *([Fact(item=9, click=1.0)] for _ in range(30)))
    assert next(iter(kept(state_U, entity=0))) == 9


@examples
@given(log=clicked_items(num_items=4), random=randoms(), later_ms=st.integers(0, 100_000))
def test_fading_top_items_count_half_after_each_half_life(
    log: list[Fact], random: Random, later_ms: int
) -> None:
    top = FadingTopItems(half_life_ms=5_000, capacity=4)
    batches = rearranged(log, random)
    half = len(batches) // 2
    state_U = state_of(top, *batches[:half])
    top.merge(state_U, state_of(top, *batches[half:]))
    now_ms = max((fact.time_ms for fact in log), default=0) + later_ms
    read_U = top.read(state_U, np.full(NUM_ENTITIES, now_ms))
    for entity in range(NUM_ENTITIES):
        expected: Counter[int] = Counter()
        for fact in of_entity(log, entity):
            expected[fact.item] += max(fact.click, 0) * 2 ** (-(now_ms - fact.time_ms) / 5_000)
        found = kept(read_U, entity)
        for item in range(1, 5):
            assert found.get(item, 0) == pytest.approx(expected[item], rel=1e-3, abs=1e-9)


@examples
@given(log=logs(), now_ms_U=reading_times_ms())
def test_sums_by_slot_are_those_of_the_facts_in_the_slot(log: list[Fact], now_ms_U: Ints) -> None:
    by_slot = BySlot(NUM_SLOTS, MEASURES)
    sums_UKm = by_slot.read(state_of(by_slot, log), now_ms_U)
    assert sums_UKm.shape == (NUM_ENTITIES, NUM_SLOTS, len(MEASURES))
    for entity in range(NUM_ENTITIES):
        for slot in range(NUM_SLOTS):
            inside = [fact for fact in of_entity(log, entity) if slot in fact.slots]
            expected = [total(inside, measure) for measure in MEASURES]
            assert sums_UKm[entity, slot].tolist() == expected
