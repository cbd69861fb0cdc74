"""Differences between two models: weighted metrics, and an interval that keeps its word."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from headrace.metrics.bootstrap import auc, mean, normalized_entropy, paired_difference

Floats = NDArray[np.float64]


def log(seed: int, num_users: int = 200, per_user: int = 10) -> tuple[NDArray[np.int64], Floats]:
    """Users and logits; a user's logits have a part in common."""
    random = np.random.default_rng(seed)
    user_N = np.repeat(np.arange(num_users), per_user)
    return user_N, random.normal(0, 1, num_users)[user_N] + random.normal(0, 1, len(user_N))


def clicks(logit_N: Floats, seed: int) -> Floats:
    p_N = 1 / (1 + np.exp(-logit_N))
    return (np.random.default_rng(seed).random(len(p_N)) < p_N).astype(np.float64)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32))
def test_weighted_metrics_agree_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    score_N, weight_N = random.choice(np.linspace(0.01, 0.99, 30), 100), random.poisson(1.0, 100)
    label_N, weight_N = (random.random(100) < 0.4).astype(np.float64), weight_N.astype(np.float64)
    expected = roc_auc_score(label_N, score_N, sample_weight=weight_N)
    assert auc(score_N, label_N)(weight_N) == pytest.approx(expected)
    rate = np.average(label_N, weights=weight_N)
    base_loss = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    loss = log_loss(label_N, score_N, sample_weight=weight_N)
    assert normalized_entropy(score_N, label_N)(weight_N) == pytest.approx(loss / base_loss)
    gapped_N = np.where(label_N == 1, np.nan, score_N)
    kept = label_N == 0
    expected = np.average(score_N[kept], weights=weight_N[kept])
    assert mean(gapped_N)(weight_N) == pytest.approx(expected)


def test_a_model_against_itself_differs_by_nothing() -> None:
    user_N, logit_N = log(0)
    metric = auc(logit_N, clicks(logit_N, 1))
    assert paired_difference(metric, metric, user_N, num_draws=50) == (0.0, 0.0, 0.0)
    assert not paired_difference(metric, metric, user_N, num_draws=50).is_sure


def test_a_clear_difference_is_sure_whichever_way_it_is_asked() -> None:
    user_N, logit_N = log(0)
    label_N = clicks(2 * logit_N, 1)
    noisy_N = logit_N + np.random.default_rng(2).normal(0, 2, len(logit_N))
    good, bad = auc(logit_N, label_N), auc(noisy_N, label_N)
    better = paired_difference(good, bad, user_N, num_draws=200)
    assert better.low < better.value < better.high and better.low > 0 and better.is_sure
    assert better.value == pytest.approx(
        roc_auc_score(label_N, logit_N) - roc_auc_score(label_N, noisy_N)
    )
    worse = paired_difference(bad, good, user_N, num_draws=200)
    assert worse == pytest.approx((-better.value, -better.high, -better.low)) and worse.is_sure


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    """The mean over users who differ: samples of one user count as one, not as many."""
    held, widths = 0, []
    for seed in range(100):
        random = np.random.default_rng(seed)
        user_N = np.repeat(np.arange(60), 5)
        one_N = random.normal(0.3, 1, 60)[user_N]
        found = paired_difference(mean(one_N), mean(np.zeros(300)), user_N, 100, seed)
        held += found.low <= 0.3 <= found.high
        widths.append(found.high - found.low)
    assert 0.86 <= held / 100 <= 0.99
    assert np.mean(widths) == pytest.approx(2 * 1.96 / math.sqrt(60), rel=0.1)


def test_the_same_seed_gives_the_same_interval() -> None:
    user_N, logit_N = log(3)
    label_N = clicks(logit_N, 4)
    one, other = normalized_entropy(0.5 + 0 * logit_N, label_N), mean(label_N)
    first, second, third = (paired_difference(one, other, user_N, 50, seed) for seed in (1, 1, 2))
    assert first == second != third and first.value == third.value


def test_what_is_not_defined_is_nan() -> None:
    empty, ones = np.zeros(0), np.ones(4)
    user_N = np.array([1, 1, 2, 2])
    for metric in (auc(ones, ones), normalized_entropy(ones / 2, ones), mean(ones * np.nan)):
        assert all(map(math.isnan, paired_difference(metric, metric, user_N, 20)))
    for metric in (auc(empty, empty), normalized_entropy(empty, empty), mean(empty)):
        found = paired_difference(metric, metric, np.zeros(0, dtype=np.int64), 20)
        assert all(map(math.isnan, found)) and not found.is_sure
