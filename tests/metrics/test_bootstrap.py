"""Differences between two models: weighted metrics, and an interval that keeps its word."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from headrace.metrics.bootstrap import (
    Draws,
    auc,
    mean,
    normalized_entropy,
    paired_difference,
)

Floats = NDArray[np.float64]


def log(seed: int, num_users: int = 200, per_user: int = 10) -> tuple[NDArray[np.int64], Floats]:
    """Users and logits; a user's logits have a part in common."""
    random = np.random.default_rng(seed)
    user_N = np.repeat(np.arange(num_users), per_user)
    return user_N, random.normal(0, 1, num_users)[user_N] + random.normal(0, 1, len(user_N))


def clicks(logit_N: Floats, seed: int) -> Floats:
    p_N = 1 / (1 + np.exp(-logit_N))
    return (np.random.default_rng(seed).random(len(p_N)) < p_N).astype(np.float64)


def weights(draws: Draws) -> Floats:
    """[D, N]: how often each sample counts."""
    weight_DN: Floats = draws.weight_DU[:, draws.user_N]
    return weight_DN


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_metrics_agree_with_scikit_learn_on_every_draw(seed: int) -> None:
    random = np.random.default_rng(seed)
    score_N, user_N = random.choice(np.linspace(0.01, 0.99, 30), 100), random.integers(0, 25, 100)
    label_N = (random.random(100) < 0.4).astype(np.float64)
    gapped_N = np.where(label_N == 1, np.nan, score_N)
    draws = Draws.of(user_N, num_draws=10, seed=seed)
    metrics = [of(score_N, label_N, draws) for of in (auc, normalized_entropy)]
    values_D = zip(*metrics, mean(gapped_N, draws), strict=True)
    for (of_auc, entropy, of_mean), weight_N in zip(values_D, weights(draws), strict=True):
        assert of_auc == pytest.approx(roc_auc_score(label_N, score_N, sample_weight=weight_N))
        rate = np.average(label_N, weights=weight_N)
        base_loss = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
        loss = log_loss(label_N, score_N, sample_weight=weight_N)
        assert entropy == pytest.approx(loss / base_loss)
        kept = label_N == 0
        assert of_mean == pytest.approx(np.average(score_N[kept], weights=weight_N[kept]))


def test_the_interval_is_that_of_users_drawn_with_replacement() -> None:
    user_N, logit_N = log(0)
    label_N = clicks(logit_N, 1)
    noisy_N = logit_N + np.random.default_rng(2).normal(0, 2, len(logit_N))
    random, differences = np.random.default_rng(5), []
    for _ in range(40):
        row = np.concatenate([np.flatnonzero(user_N == u) for u in random.integers(0, 200, 200)])
        one, other = (roc_auc_score(label_N[row], of[row]) for of in (logit_N, noisy_N))
        differences.append(one - other)
    draws = Draws.of(3 * user_N + 7, num_draws=40, seed=5)
    found = paired_difference(auc(logit_N, label_N, draws), auc(noisy_N, label_N, draws))
    assert found[1:] == pytest.approx(np.quantile(differences, [0.025, 0.975]))


def test_a_model_against_itself_differs_by_nothing() -> None:
    user_N, logit_N = log(0)
    auc_D = auc(logit_N, clicks(logit_N, 1), Draws.of(user_N, 50))
    assert paired_difference(auc_D, auc_D) == (0.0, 0.0, 0.0)
    assert not paired_difference(auc_D, auc_D).is_sure


def test_a_clear_difference_is_sure_whichever_way_it_is_asked() -> None:
    user_N, logit_N = log(0)
    label_N, draws = clicks(2 * logit_N, 1), Draws.of(user_N, 200)
    noisy_N = logit_N + np.random.default_rng(2).normal(0, 2, len(logit_N))
    good_D, bad_D = auc(logit_N, label_N, draws), auc(noisy_N, label_N, draws)
    better = paired_difference(good_D, bad_D)
    assert better.low < better.value < better.high and better.low > 0 and better.is_sure
    assert better.value == pytest.approx(
        roc_auc_score(label_N, logit_N) - roc_auc_score(label_N, noisy_N)
    )
    worse = paired_difference(bad_D, good_D)
    assert worse == pytest.approx((-better.value, -better.high, -better.low)) and worse.is_sure


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    """The mean over users who differ: samples of one user count as one, not as many."""
    held, widths = 0, []
    for seed in range(100):
        random = np.random.default_rng(seed)
        user_N = np.repeat(np.arange(60), 5)
        one_N, draws = random.normal(0.3, 1, 60)[user_N], Draws.of(user_N, 100, seed)
        found = paired_difference(mean(one_N, draws), mean(np.zeros(300), draws))
        held += found.low <= 0.3 <= found.high
        widths.append(found.high - found.low)
    assert 0.86 <= held / 100 <= 0.99
    assert np.mean(widths) == pytest.approx(2 * 1.96 / math.sqrt(60), rel=0.1)


def test_the_same_seed_gives_the_same_interval() -> None:
    user_N, logit_N = log(3)
    label_N, found = clicks(logit_N, 4), []
    for seed in (1, 1, 2):
        draws = Draws.of(user_N, 50, seed)
        one_D = normalized_entropy(0.5 + 0 * logit_N, label_N, draws)
        found.append(paired_difference(one_D, mean(label_N, draws)))
    first, second, third = found
    assert first == second != third and first.value == third.value


def test_what_is_not_defined_is_nan() -> None:
    empty, ones = np.zeros(0), np.ones(4)
    for one_N, user in ((ones, [1, 1, 2, 2]), (empty, [])):
        draws = Draws.of(np.array(user, np.int64), 20)
        metrics = [of(one_N / 2, one_N, draws) for of in (auc, normalized_entropy)]
        for metric_D in (*metrics, mean(one_N * np.nan, draws)):
            found = paired_difference(metric_D, metric_D)
            assert all(map(math.isnan, found)) and not found.is_sure
