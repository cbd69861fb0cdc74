"""The guard: which versions are held, for how long, and when the learner has to go back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import round_trip

from headrace.learning.guard import MAX_WINDOW, ROLL_BACK_AFTER, WINDOW, Guard, Scored

PATIENCE_MS = 1_000_000


def scored(seed: int, num: int, skill: float, rate: float = 0.5, flipped: bool = False) -> Scored:
    """Impressions of which a model knows the base rate, and what tells them apart up to `skill`."""
    random = np.random.default_rng(seed)
    differs_N, base = 2 * random.normal(size=num), np.log(rate / (1 - rate))
    clicked_N = random.random(num) < 1 / (1 + np.exp(-base - differs_N))
    p_N = 1 / (1 + np.exp(-base - skill * differs_N))
    return Scored(p_N, (clicked_N ^ flipped).astype(float))


def guarded(patience_ms: int = PATIENCE_MS) -> Guard:
    """A guard that has let some versions of a good learner pass."""
    guard = Guard(patience_ms)
    for n in range(5):
        guard.take(scored(n, 500, skill=1.0))
        assert guard.verdict(n) == ""
    return guard


def test_a_learner_that_knows_something_is_published_again_and_again() -> None:
    guard = guarded()
    for n in range(5, 60):
        guard.take(scored(n, 100, skill=0.8))
        assert guard.verdict(n) == ""


def test_before_enough_is_known_nothing_is_held() -> None:
    guard = Guard(PATIENCE_MS)
    guard.take(scored(0, 100, skill=1.0, flipped=True))
    assert guard.verdict(0) == ""


def test_what_is_worse_than_the_base_rate_is_held_and_says_so() -> None:
    guard = Guard(PATIENCE_MS)
    guard.take(scored(0, WINDOW, skill=1.0, flipped=True))
    assert "worse than the base rate" in guard.verdict(0)


def test_what_scores_far_worse_than_what_was_published_is_held() -> None:
    guard = guarded()
    guard.take(scored(9, WINDOW, skill=0.1))
    assert "published versions had" in guard.verdict(9)


def test_probabilities_that_are_not_finite_are_held() -> None:
    guard = guarded()
    broken = scored(9, 50, skill=1.0)
    guard.take(Scored(np.full(50, np.nan), broken.clicked_N))
    assert "not finite" in guard.verdict(9)


@pytest.mark.parametrize(("skill", "is_held"), [(1.0, False), (0.9, False), (0.1, True)])
def test_a_learner_that_is_worse_than_the_published_version_on_the_same_impressions_is_held(
    skill: float, is_held: bool
) -> None:
    guard = guarded()
    guard.take(scored(9, 300, skill=1.0))
    paired = scored(8, 300, skill), scored(8, 300, skill=1.0)
    assert bool(guard.verdict(9, paired)) == is_held


def test_what_the_served_version_finds_odd_is_held_though_the_learner_has_taken_to_it() -> None:
    guard = guarded()
    guard.take(scored(9, 300, skill=1.0))
    paired = scored(8, 300, skill=1.0, flipped=True), scored(8, 300, skill=-1.0)
    taken_to_it = Scored(1 - paired[0].p_N, 1 - paired[0].clicked_N)
    assert "the version that is served has" in guard.verdict(9, (taken_to_it, paired[1]))


def test_the_learner_goes_back_when_it_was_held_for_long_enough_and_is_released_by_new_scores() -> (
    None
):
    guard = guarded()
    guard.take(scored(9, WINDOW, skill=1.0, flipped=True))
    assert guard.verdict(9) and not guard.must_roll_back(9)
    guard.take(scored(10, ROLL_BACK_AFTER, skill=1.0, flipped=True))
    assert guard.verdict(10) and guard.must_roll_back(10)
    guard.rolled_back()
    assert not guard.must_roll_back(11)
    guard.take(scored(11, 100, skill=1.0))
    assert "too little is known" in guard.verdict(11)
    guard.take(scored(12, 900, skill=1.0))
    assert guard.verdict(12) == ""


def test_a_world_that_stays_changed_is_learned_when_patience_is_over() -> None:
    guard = guarded()
    now_ms = 0
    for n in range(10, 14):
        guard.take(scored(n, ROLL_BACK_AFTER, skill=1.0, flipped=True))
        assert guard.verdict(now_ms)
        now_ms += PATIENCE_MS // 3
    assert not guard.must_roll_back(now_ms), "it may learn now"
    guard.take(scored(20, WINDOW, skill=1.0, flipped=True))
    assert "worse than the base rate" in guard.verdict(now_ms), "but not be published yet"
    guard.take(scored(21, WINDOW, skill=0.2))
    assert guard.verdict(now_ms) == "", "worse than it used to be, as the world is harder"
    guard.take(scored(22, WINDOW, skill=0.2))
    assert guard.verdict(now_ms) == "", "that is usual now"


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.01, 0.5), st.floats(0.4, 1.0))
def test_an_honest_learner_is_not_held_whatever_the_rate_of_clicks(
    seed: int, rate: float, skill: float
) -> None:
    guard = Guard(PATIENCE_MS)
    for n in range(12):
        guard.take(scored(seed + n, 1_000, skill, rate))
        assert guard.verdict(n) == ""


def test_where_clicks_are_rare_more_impressions_are_judged_together() -> None:
    guard = Guard(PATIENCE_MS)
    for n in range(30):
        guard.take(scored(n, 500, skill=1.0, rate=0.001))
    num = len(guard.state()["p"])
    assert WINDOW < num <= MAX_WINDOW + 500


def test_a_restart_changes_nothing() -> None:
    guard, loaded = guarded(), Guard(PATIENCE_MS)
    guard.take(scored(9, WINDOW, skill=1.0, flipped=True))
    guard.verdict(9)
    loaded.load_state(round_trip(guard.state()))
    for one in (guard, loaded):
        one.take(scored(10, ROLL_BACK_AFTER, skill=1.0, flipped=True))
    assert guard.verdict(10) == loaded.verdict(10) != ""
    assert guard.must_roll_back(10) and loaded.must_roll_back(10)
