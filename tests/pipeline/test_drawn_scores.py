"""Thompson sampling: estimated propensities against a closed form, and the slates that it draws."""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import numpy as np
import pytest
from request_path import request

from headrace.application.exploration import Exploration
from headrace.application.reranking import Boost, Reranking
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context
from headrace.pipeline.exploration.estimate import estimated
from headrace.pipeline.exploration.explore import Explore
from headrace.pipeline.exploration.mixture import Mixture
from headrace.pipeline.filters.conditions import HasWord
from headrace.pipeline.rerank.declared import reranked
from headrace.pipeline.run import run

NOTHING_FRESH = np.zeros(2, np.bool_)


def drawn(num_draws: int, mean_N: list[float], deviation: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    shape = (num_draws, len(mean_N))
    return (np.array(mean_N) + deviation * random.standard_normal(shape)).astype(np.float32)


def ranked(drawn_DN: np.ndarray, mean_N: list[float], **more: Any) -> Context:
    """A request whose candidates have these scores and draws, in the order of the ranker."""
    candidates = Candidates.of("trending", np.arange(1, len(mean_N) + 1))
    candidates.score_C = np.array(mean_N, np.float32)
    candidates.drawn_DC = drawn_DN
    candidates.keep(np.argsort(-candidates.score_C, kind="stable"), "rank")
    return request(candidates=candidates, **more)


@pytest.mark.parametrize("gap", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_the_estimate_is_near_the_closed_form_of_two_items(gap: float, epsilon: float) -> None:
    """The first of two normal scores is greater with a probability that is known."""
    num_draws = 4_000
    p_first = (1 + erf(gap / 2)) / 2  # the difference has the standard deviation sqrt(2)
    drawn_DN = drawn(num_draws, [gap, 0.0], 1.0)
    told = estimated(Mixture(epsilon), drawn_DN, np.array([0]), NOTHING_FRESH)
    expected = (1 - epsilon) * p_first + epsilon / 2
    assert told == pytest.approx([expected], abs=5 * sqrt(0.25 / num_draws))


def test_estimates_of_all_items_at_a_place_sum_to_one() -> None:
    drawn_DN = drawn(50, [0.0, 0.2, 0.4, 0.6], 1.0)
    for mixture in (Mixture(), Mixture(0.2), Mixture(0.1, 0.3)):
        for is_fresh_N in (np.zeros(4, np.bool_), np.array([True, False, True, False])):
            slates = [np.array([item, (item + 1) % 4]) for item in range(4)]
            first = [estimated(mixture, drawn_DN, slate, is_fresh_N)[0] for slate in slates]
            assert sum(first) == pytest.approx(1)


def test_the_first_draw_makes_the_slate_and_counts_among_the_others() -> None:
    mean_N, explore = [0.3, 0.2, 0.1, 0.0], Explore(Exploration("thompson", draws=10))
    for seed in range(20):
        drawn_DN = drawn(10, mean_N, 0.2, seed)
        context = ranked(drawn_DN, mean_N, num_items=2)
        explore(context)
        slate = context.candidates
        best = np.argsort(-drawn_DN, axis=1)[:, :2]
        assert slate.row_C.tolist() == (best[0] + 1).tolist()
        assert slate.propensity_C is not None and slate.propensity_C.min() >= 1 / 10
        assert slate.propensity_C.tolist() == pytest.approx((best == best[0]).mean(0).tolist())


def test_one_over_the_estimate_is_right_for_what_is_not_rare() -> None:
    """In the mean it is 1 - (1 - p)^D over p, as decision 31 says."""
    num_draws, random, weights = 20, np.random.default_rng(0), []
    p = 0.3
    for _ in range(4_000):
        first = random.random(num_draws) < p
        drawn_DN = np.where(first[:, None], [1.0, 0.0], [0.0, 1.0]).astype(np.float32)
        told = estimated(Mixture(), drawn_DN, np.array([0 if first[0] else 1]), NOTHING_FRESH)
        weights.append(1 / told[0] if first[0] else 0.0)
    expected = 1 - (1 - p) ** num_draws
    assert np.mean(weights) == pytest.approx(expected, abs=5 * np.std(weights) / sqrt(4_000))


def test_a_boost_moves_the_draws_of_an_item_too() -> None:
    mean_N = [0.3, 0.2, 0.1]
    boosts = Reranking(boosts=(Boost(HasWord("categories", ("pens",)), 100.0),))
    context = ranked(drawn(30, mean_N, 0.01), mean_N, num_items=1)
    run(reranked(boosts, Explore(Exploration("thompson", draws=30))), context)
    assert context.candidates.row_C.tolist() == [2]  # of pens
    assert context.candidates.propensity_C is not None
    assert context.candidates.propensity_C.tolist() == [1.0]
