"""Aggregators: each equals a recomputation from the outcomes it saw, in any allowed order."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.features.aggregators import (
    Aggregator,
    CategoryRates,
    Count,
    DecayedRate,
    LastN,
    Outcome,
    Rate,
    SinceLast,
    State,
    WindowRate,
)

TILE_MS = 1_000
START_MS = 1_714_554_000_000
WINDOW = WindowRate(TILE_MS, num_tiles=5, prior=0.25, strength=4.0)
CATEGORIES = CategoryRates(num_slots=6, strength=4.0)
UNORDERED = (Count(), Rate(), WINDOW, SinceLast(), CATEGORIES)
NUMERIC = (*UNORDERED, DecayedRate(3.0))

# Impressions with known and open outcomes, and the clicks of open ones.
kinds = st.sampled_from([(1, 0, True), (1, 1, True), (1, 0, False), (0, 1, True)])


def outcomes(span_ms: int = 12 * TILE_MS, max_size: int = 25) -> st.SearchStrategy[list[Outcome]]:
    """Outcomes of any time within the span, in any order."""
    one = st.builds(
        lambda item, ago_ms, kind, slots: Outcome(
            item, START_MS + ago_ms, *kind, category_slots=tuple(sorted(slots))
        ),
        st.integers(1, 2**63 - 1),
        st.integers(0, span_ms),
        kinds,
        st.frozensets(st.integers(0, 5), max_size=3),
    )
    return st.lists(one, max_size=max_size)


def state_of(aggregator: Aggregator, seen: Sequence[Outcome]) -> State:
    """The state that saw these outcomes in this order."""
    state_W = aggregator.initialize()
    assert state_W.shape == (aggregator.width,) and state_W.dtype == np.float64
    for outcome in seen:
        aggregator.add(state_W, outcome)
    return state_W


def totals(seen: Sequence[Outcome]) -> tuple[int, int]:
    return sum(o.shown for o in seen), sum(o.clicked for o in seen)


@settings(deadline=None, max_examples=60)
@given(outcomes())
def test_counts_and_rates_equal_a_recount(seen: list[Outcome]) -> None:
    shown, clicked = totals(seen)
    assert Count().value(state_of(Count(), seen), START_MS) == np.log1p(shown)
    rate = Rate(prior=0.2, strength=7.0)
    assert rate.value(state_of(rate, seen), START_MS) == pytest.approx(
        (clicked + 0.2 * 7.0) / (shown + 7.0)
    )


@settings(deadline=None, max_examples=60)
@given(outcomes(), st.sampled_from([1.0, 3.0, 50.0]))
def test_a_decayed_rate_halves_every_half_life_of_impressions(
    seen: list[Outcome], half_life: float
) -> None:
    rate = DecayedRate(half_life, prior=0.3, strength=2.0)
    shown = clicked = 0.0
    for number, outcome in enumerate(seen):
        later = sum(o.shown for o in seen[number + 1 :])
        shown += outcome.shown * 0.5 ** (later / half_life)
        clicked += outcome.clicked * 0.5 ** (later / half_life)
    expected = (clicked + 0.3 * 2.0) / (shown + 2.0)
    assert rate.value(state_of(rate, seen), START_MS) == pytest.approx(expected)


def rate_of_tiles(seen: Sequence[Outcome], now_ms: int) -> float:
    """The rate over the outcomes of the tiles that the window of now holds."""
    now_tile = now_ms // TILE_MS
    oldest = max([o.time_ms // TILE_MS for o in seen], default=0) - WINDOW.num_tiles + 1
    first = max(now_tile - WINDOW.num_tiles + 1, oldest)
    inside = [o for o in seen if first <= o.time_ms // TILE_MS <= now_tile]
    shown, clicked = totals(inside)
    return (clicked + WINDOW.prior * WINDOW.strength) / (shown + WINDOW.strength)


@settings(deadline=None, max_examples=150)
@given(outcomes(), st.integers(-3 * TILE_MS, 20 * TILE_MS))
def test_a_window_rate_equals_a_recount_of_its_tiles(seen: list[Outcome], after_ms: int) -> None:
    now_ms = START_MS + after_ms
    value = WINDOW.value(state_of(WINDOW, seen), now_ms)
    assert value == pytest.approx(rate_of_tiles(seen, now_ms))


def at(tile: float, clicked: int = 1) -> Outcome:
    return Outcome(1, START_MS + int(tile * TILE_MS), 1, clicked)


def test_a_late_outcome_counts_while_its_tile_is_in_the_window() -> None:
    in_time = [at(7), at(3, clicked=0), at(5.5)]
    assert WINDOW.value(state_of(WINDOW, in_time), START_MS + 7 * TILE_MS) == (2 + 1) / (3 + 4)
    too_late = [at(7), at(2), at(1.9)]
    assert WINDOW.value(state_of(WINDOW, too_late), START_MS + 7 * TILE_MS) == (1 + 1) / (1 + 4)


def test_a_window_forgets_as_time_goes_on_without_outcomes() -> None:
    state_W = state_of(WINDOW, [at(0), at(1, clicked=0)])
    values = [float(WINDOW.value(state_W, START_MS + n * TILE_MS)) for n in (0, 1, 4, 5, 6, 1_000)]
    assert values == pytest.approx([2 / 5, 2 / 6, 2 / 6, 1 / 5, 1 / 4, 1 / 4])


def test_the_first_tiles_of_the_epoch_are_tiles_like_others() -> None:
    state_W = state_of(WINDOW, [Outcome(1, 0, 1, 1), Outcome(1, 2_500, 1, 0)])
    assert WINDOW.value(state_W, 0) == 2 / 5
    assert WINDOW.value(state_W, 2_999) == 2 / 6
    assert WINDOW.value(state_W, 5_000) == 1 / 5


@settings(deadline=None, max_examples=60)
@given(outcomes(), st.sampled_from([0, 999, 1_000, 86_400_000]))
def test_since_last_is_the_time_since_the_newest_outcome(
    seen: list[Outcome], after_ms: int
) -> None:
    since = SinceLast(default_s=99.0)
    newest_ms = max([o.time_ms for o in seen], default=None)
    now_ms = (newest_ms or START_MS) + after_ms
    expected_s = 99.0 if newest_ms is None else after_ms / 1_000
    assert since.value(state_of(since, seen), now_ms) == pytest.approx(np.log1p(expected_s))


def test_since_last_is_never_negative() -> None:
    assert SinceLast().value(state_of(SinceLast(), [at(5)]), START_MS) == 0.0


@settings(deadline=None, max_examples=60)
@given(outcomes())
def test_category_rates_are_centred_on_the_rate_over_all_categories(seen: list[Outcome]) -> None:
    value_K = CATEGORIES.value(state_of(CATEGORIES, seen), START_MS)
    counts_K2 = [totals([o for o in seen if slot in o.category_slots]) for slot in range(6)]
    shown, clicked = np.sum(counts_K2, axis=0)
    overall = (clicked + 0.5) / (shown + 1.0)
    expected_K = [(c + 4.0 * overall) / (s + 4.0) - overall for s, c in counts_K2]
    assert value_K == pytest.approx(np.array(expected_K))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(UNORDERED), outcomes(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    aggregator: Aggregator, seen: list[Outcome], random: Random
) -> None:
    shuffled = random.sample(seen, len(seen))
    now_ms = START_MS + 12 * TILE_MS
    one = aggregator.value(state_of(aggregator, seen), now_ms)
    assert np.array_equal(one, aggregator.value(state_of(aggregator, shuffled), now_ms))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(UNORDERED), outcomes(), outcomes(), st.integers(0, 16 * TILE_MS))
def test_two_merged_states_equal_one_that_saw_everything(
    aggregator: Aggregator, half: list[Outcome], other: list[Outcome], after_ms: int
) -> None:
    merged_W, other_W = state_of(aggregator, half), state_of(aggregator, other)
    before_W = other_W.copy()
    aggregator.merge(merged_W, other_W)
    assert np.array_equal(other_W, before_W)
    whole_W = state_of(aggregator, half + other)
    assert np.array_equal(merged_W, whole_W)
    now_ms = START_MS + after_ms
    assert np.array_equal(aggregator.value(merged_W, now_ms), aggregator.value(whole_W, now_ms))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(NUMERIC), outcomes())
def test_merging_with_the_empty_state_changes_nothing(
    aggregator: Aggregator, seen: list[Outcome]
) -> None:
    state_W, fresh_W = state_of(aggregator, seen), aggregator.initialize()
    aggregator.merge(fresh_W, state_W)
    assert np.array_equal(fresh_W, state_W)
    aggregator.merge(state_W, aggregator.initialize())
    assert np.array_equal(fresh_W, state_W)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(NUMERIC),
    st.lists(outcomes(max_size=6), min_size=1, max_size=4),
    st.integers(0, 16 * TILE_MS),
)
def test_the_value_of_a_stack_of_states_is_the_value_of_each(
    aggregator: Aggregator, histories: list[list[Outcome]], after_ms: int
) -> None:
    now_ms = START_MS + after_ms
    states_XW = np.stack([state_of(aggregator, seen) for seen in histories])
    each_X = np.stack([aggregator.value(state_W, now_ms) for state_W in states_XW])
    assert np.array_equal(aggregator.value(states_XW, now_ms), each_X)
    assert np.array_equal(aggregator.value(states_XW[None], now_ms), each_X[None])


@settings(deadline=None, max_examples=60)
@given(outcomes())
def test_the_last_n_are_the_settled_outcomes_newest_first(seen: list[Outcome]) -> None:
    last = LastN(length=4)
    settled = [(o.item_key, o.time_ms, o.clicked) for o in seen if o.settled]
    expected = (settled[::-1] + [(0, 0, 0)] * 4)[:4]
    columns_3T = last.columns(state_of(last, seen))
    assert columns_3T.dtype == np.int64 and columns_3T.T.tolist() == [list(e) for e in expected]


def test_an_open_impression_enters_the_history_by_its_click() -> None:
    last = LastN(length=2)
    state_W = state_of(last, [Outcome(7, START_MS, shown=1, clicked=0, settled=False)])
    assert last.columns(state_W).tolist() == [[0, 0], [0, 0], [0, 0]]
    last.add(state_W, Outcome(7, START_MS + 5, shown=0, clicked=1))
    assert last.columns(state_W).tolist() == [[7, 0], [START_MS + 5, 0], [1, 0]]


@settings(deadline=None, max_examples=60)
@given(outcomes(), st.lists(st.booleans(), min_size=25, max_size=25))
def test_merged_histories_keep_the_newest_of_both(seen: list[Outcome], mine: list[bool]) -> None:
    last = LastN(length=4)
    distinct = {o.time_ms: o for o in seen}
    in_time = [distinct[time_ms] for time_ms in sorted(distinct)]
    merged_W = state_of(last, [o for o, own in zip(in_time, mine, strict=False) if own])
    last.merge(
        merged_W, state_of(last, [o for o, own in zip(in_time, mine, strict=False) if not own])
    )
    assert merged_W.tobytes() == state_of(last, in_time).tobytes()


def test_a_sequence_has_no_single_value() -> None:
    with pytest.raises(TypeError, match="columns"):
        LastN().value(LastN().initialize(), START_MS)
