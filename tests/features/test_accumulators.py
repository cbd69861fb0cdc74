"""Accumulators: each reads what a recount of the facts says, however the facts arrived."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_facts import (
    NUM_ENTITIES,
    START_MS,
    TILE_MS,
    Fact,
    columns,
    fresh,
    logs,
    of_entity,
    randoms,
    reading_times_ms,
    rearranged,
    state_of,
    total,
)

from headrace.features.aggregation.accumulators import (
    NEVER,
    Accumulator,
    Decayed,
    Extremes,
    Lifetime,
    Newest,
    Tiles,
)
from headrace.features.aggregation.aggregators import Reading, kept_by
from headrace.features.aggregation.by_word import ByWord
from headrace.features.aggregation.facts import CLICK, MEASURES, SHOWN, Ints
from headrace.features.aggregation.sequence import LastN, Recent, Session
from headrace.features.aggregation.sketches import BySlot, Distinct
from headrace.features.aggregation.top_items import TopItems

NUM_TILES = 5
TILES = Tiles(TILE_MS, NUM_TILES, MEASURES)
DECAYED = Decayed(3 * TILE_MS, MEASURES)
LAST = LastN(5)
EXACT: list[Accumulator] = [
    Lifetime(MEASURES), TILES, Newest(CLICK), Extremes(), LAST, Distinct(16),
    TopItems(capacity=50), BySlot(6, MEASURES), ByWord("surface", 3, MEASURES),
]  # fmt: skip
EVERY = [*EXACT, DECAYED]
VIEWS: list[Reading] = [*EVERY, Recent(LAST, 3), Session(LAST, TILE_MS)]
IDEMPOTENT: list[Accumulator] = [Newest(CLICK), Extremes(), Distinct(16)]

every = pytest.mark.parametrize("accumulator", EVERY, ids=repr)
examples = settings(max_examples=30)


def same(accumulator: Accumulator, one: NDArray[np.void], other: NDArray[np.void]) -> bool:
    """Whether states are the same to the bit; decayed sums, up to rounding."""
    if accumulator is not DECAYED:
        return one.tobytes() == other.tobytes()
    assert np.array_equal(one["newest_ms"], other["newest_ms"])
    return np.allclose(one["sums"], other["sums"], rtol=1e-9, atol=1e-12)


@every
@examples
@given(log=logs(), random=randoms())
def test_neither_the_order_of_arrival_nor_the_batches_matter(
    accumulator: Accumulator, log: list[Fact], random: Random
) -> None:
    arrived = state_of(accumulator, *rearranged(log, random))
    assert same(accumulator, arrived, state_of(accumulator, log))


@every
@examples
@given(log=logs(), random=randoms())
def test_merged_states_equal_one_that_saw_everything(
    accumulator: Accumulator, log: list[Fact], random: Random
) -> None:
    mine = [random.random() < 0.5 for _ in log]
    merged = state_of(accumulator, [fact for fact, own in zip(log, mine, strict=True) if own])
    other = state_of(accumulator, [fact for fact, own in zip(log, mine, strict=True) if not own])
    before = other.tobytes()
    accumulator.merge(merged, other)
    assert other.tobytes() == before
    assert same(accumulator, merged, state_of(accumulator, log))


@every
@examples
@given(log=logs())
def test_merging_with_the_empty_state_changes_nothing(
    accumulator: Accumulator, log: list[Fact]
) -> None:
    seen = state_of(accumulator, log)
    state, empty = seen.copy(), fresh(accumulator)
    accumulator.merge(state, fresh(accumulator))
    accumulator.merge(empty, seen)
    assert state.tobytes() == empty.tobytes() == seen.tobytes()


@every
@examples
@given(log=logs())
def test_facts_change_no_other_entity(accumulator: Accumulator, log: list[Fact]) -> None:
    together = state_of(accumulator, log)
    for entity in range(NUM_ENTITIES):
        alone = state_of(accumulator, of_entity(log, entity))
        assert same(accumulator, together[entity : entity + 1], alone[entity : entity + 1])


@pytest.mark.parametrize("view", VIEWS, ids=repr)
@examples
@given(
    log=logs(),
    rows=st.lists(st.integers(0, NUM_ENTITIES - 1), max_size=6),
    now_ms_U=reading_times_ms(),
)
def test_what_is_read_of_a_stack_is_what_is_read_of_each(
    view: Reading, log: list[Fact], rows: list[int], now_ms_U: Ints
) -> None:
    row_Q = np.array(rows, np.int64)
    state_U = state_of(kept_by(view), log)
    before = state_U.tobytes()
    read_Q = view.read(state_U[row_Q], now_ms_U[row_Q])
    assert len(read_Q) == len(rows)
    for place, row in enumerate(rows):
        alone = view.read(state_U[row : row + 1], now_ms_U[row : row + 1])
        assert read_Q[place : place + 1].tobytes() == alone.tobytes()
    assert state_U.tobytes() == before


@pytest.mark.parametrize("accumulator", IDEMPOTENT, ids=repr)
@examples
@given(log=logs(), random=randoms())
def test_facts_that_come_twice_count_once_where_they_are_not_summed(
    accumulator: Accumulator, log: list[Fact], random: Random
) -> None:
    twice = state_of(accumulator, log, *rearranged(log, random))
    assert twice.tobytes() == state_of(accumulator, log).tobytes()


@examples
@given(log=logs(), now_ms_U=reading_times_ms())
def test_a_lifetime_sums_everything(log: list[Fact], now_ms_U: Ints) -> None:
    sums_Um = Lifetime(MEASURES).read(state_of(Lifetime(MEASURES), log), now_ms_U)
    assert sums_Um.tolist() == [
        [total(of_entity(log, entity), measure) for measure in MEASURES]
        for entity in range(NUM_ENTITIES)
    ]


def in_window(seen: Sequence[Fact], now_ms: int) -> list[Fact]:
    """The facts in the window of now whose tiles the ring still holds."""
    tile_now = now_ms // TILE_MS
    newest = max((fact.time_ms // TILE_MS for fact in seen), default=0)
    first = max(tile_now, newest) - NUM_TILES + 1
    return [fact for fact in seen if first <= fact.time_ms // TILE_MS <= tile_now]


@settings(max_examples=150)
@given(log=logs(), now_ms_U=reading_times_ms())
def test_tiles_sum_the_window_of_the_time_of_reading(log: list[Fact], now_ms_U: Ints) -> None:
    sums_Um = TILES.read(state_of(TILES, log), now_ms_U)
    expected = [
        [total(in_window(of_entity(log, entity), now_ms), measure) for measure in MEASURES]
        for entity, now_ms in enumerate(now_ms_U.tolist())
    ]
    assert sums_Um.tolist() == expected


def shown_in_tiles(log: Sequence[Fact], now_ms: int) -> float:
    tiles = Tiles(TILE_MS, NUM_TILES)
    return float(tiles.read(state_of(tiles, log), np.full(NUM_ENTITIES, now_ms))[0, 0])


def at(tile: float) -> Fact:
    return Fact(time_ms=START_MS + int(tile * TILE_MS))


def test_a_late_fact_counts_while_its_tile_is_in_the_ring() -> None:
    now_ms = START_MS + 7 * TILE_MS
    assert shown_in_tiles([at(7), at(3), at(5.5)], now_ms) == 3
    assert shown_in_tiles([at(7), at(2.999), at(0)], now_ms) == 1


def test_tiles_empty_as_time_goes_on_without_facts() -> None:
    log = [at(0), at(1.5), at(1)]
    counts = [shown_in_tiles(log, START_MS + tile * TILE_MS) for tile in (-1, 0, 1, 4, 5, 6, 999)]
    assert counts == [0, 1, 3, 3, 2, 0, 0]


def test_a_fact_far_ahead_empties_the_ring() -> None:
    assert shown_in_tiles([at(0), at(1), at(1_000_003)], START_MS + TILE_MS) == 0


def test_the_first_tiles_of_the_epoch_are_tiles_like_others() -> None:
    log = [Fact(time_ms=0), Fact(time_ms=2_500)]
    assert [shown_in_tiles(log, now_ms) for now_ms in (0, 2_999, 5_000, 7_000)] == [1, 2, 1, 0]


@examples
@given(log=logs(), now_ms_U=reading_times_ms())
def test_a_decayed_sum_halves_every_half_life(log: list[Fact], now_ms_U: Ints) -> None:
    sums_Um = DECAYED.read(state_of(DECAYED, log), now_ms_U)
    for entity, now_ms in enumerate(now_ms_U.tolist()):
        seen = of_entity(log, entity)
        now_ms = max([now_ms, *(fact.time_ms for fact in seen)])  # never before the latest fact
        weights = [0.5 ** ((now_ms - fact.time_ms) / DECAYED.half_life_ms) for fact in seen]
        expected = [
            sum(w * getattr(fact, measure) for w, fact in zip(weights, seen, strict=True))
            for measure in MEASURES
        ]
        assert sums_Um[entity] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_decayed_sums_stay_finite_over_any_length_of_log() -> None:
    log = [Fact(time_ms=0), Fact(time_ms=10**15), Fact(time_ms=5)]
    sums_Um = DECAYED.read(state_of(DECAYED, log), np.full(NUM_ENTITIES, 10**15))
    assert sums_Um[0, 0] == 1.0 and not sums_Um[1:].any()


@examples
@given(log=logs(), now_ms_U=reading_times_ms())
def test_newest_is_the_time_of_the_last_fact_with_the_measure(
    log: list[Fact], now_ms_U: Ints
) -> None:
    for measure in (SHOWN, CLICK):
        newest = Newest(measure)
        expected = [
            max((f.time_ms for f in of_entity(log, n) if getattr(f, measure)), default=NEVER)
            for n in range(NUM_ENTITIES)
        ]
        assert newest.read(state_of(newest, log), now_ms_U).tolist() == expected


@examples
@given(log=logs(), now_ms_U=reading_times_ms())
def test_extremes_are_the_least_greatest_and_latest_value(log: list[Fact], now_ms_U: Ints) -> None:
    read_U3 = Extremes().read(state_of(Extremes(), log), now_ms_U)
    for entity in range(NUM_ENTITIES):
        seen = [fact for fact in of_entity(log, entity) if fact.value]
        if not seen:
            assert np.isnan(read_U3[entity]).all()
            continue
        values = [fact.value for fact in seen]
        latest = max(seen, key=lambda fact: (fact.time_ms, fact.value)).value
        assert read_U3[entity].tolist() == [min(values), max(values), latest]


def test_a_newer_value_is_the_latest_also_where_it_is_lower() -> None:
    older, newer = Fact(value=7.0), Fact(value=-2.0, time_ms=START_MS + 1)
    now_ms_U = np.full(NUM_ENTITIES, START_MS)
    for batches in ([[older], [newer]], [[newer], [older]], [[newer, older]]):
        read_U3 = Extremes().read(state_of(Extremes(), *batches), now_ms_U)
        assert read_U3[0].tolist() == [-2.0, 7.0, -2.0]


@every
def test_a_batch_without_facts_changes_nothing(accumulator: Accumulator) -> None:
    state = fresh(accumulator)
    accumulator.add(state, columns([]))
    assert state.tobytes() == fresh(accumulator).tobytes()
