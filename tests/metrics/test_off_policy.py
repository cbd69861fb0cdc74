"""Off-policy estimates: right on logs whose true rates are known, none where a log says little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.metrics.bootstrap import Draws
from headrace.metrics.off_policy import Weighted

NUM_ITEMS = 6
probabilities = st.lists(st.floats(0.05, 1), min_size=NUM_ITEMS, max_size=NUM_ITEMS).map(
    lambda found: np.array(found) / sum(found)
)
rates = st.lists(st.floats(0, 1), min_size=NUM_ITEMS, max_size=NUM_ITEMS).map(np.array)


def estimates(weighted: Weighted) -> dict[str, float]:
    draws = Draws.of(np.arange(len(weighted.reward_N)), 0)
    return {name: float(value_D[0]) for name, value_D in weighted.estimates(draws).items()}


@settings(max_examples=25, deadline=None)
@given(probabilities, probabilities, rates, rates, st.integers(0, 1 << 30))
def test_estimates_are_right_on_average_over_simulated_logs(
    logging_A: np.ndarray, target_A: np.ndarray, rate_A: np.ndarray, model_A: np.ndarray, seed: int
) -> None:
    """Whatever the model of rewards says; a log has 50 impressions, and there are 400 logs."""
    random, num_logs, num = np.random.default_rng(seed), 400, 50
    item = random.choice(NUM_ITEMS, (num_logs, num), p=logging_A)
    reward = (random.random(item.shape) < rate_A[item]).astype(np.float64)
    expected = np.full(num, float(target_A @ model_A))
    weight = target_A[item] / logging_A[item]
    found = [
        estimates(Weighted(*log, expected))
        for log in zip(reward, weight, model_A[item], strict=True)
    ]
    truth = float(target_A @ rate_A)
    for name in ("ips", "doubly_robust"):
        values = np.array([one[name] for one in found])
        assert abs(values.mean() - truth) < 5 * values.std() / np.sqrt(num_logs) + 1e-9, name


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.integers(0, 1 << 30))
def test_the_policy_of_the_log_has_the_rate_that_was_observed(num: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    reward = (random.random(num) < 0.3).astype(np.float64)
    modelled = random.random(num)
    found = estimates(Weighted(reward, np.ones(num), modelled, modelled))
    assert {*found} == {"ips", "snips", "doubly_robust"}
    assert [*found.values()] == pytest.approx([reward.mean()] * 3)


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (np.full(999, 1.0), "the log is worth 999 impressions of the policy, expected 1,000"),
        (np.r_[np.full(10, 500.0), np.zeros(4_990)], "the log is worth 10 impressions"),
        (np.r_[np.ones(1_500), np.zeros(1_500)], "the log can have shown 50% of what the policy"),
        (np.full(1_000, 1.0), ""),
    ],
)
def test_a_log_that_says_little_of_a_policy_concludes_nothing(
    weight: np.ndarray, told: str
) -> None:
    refusal = Weighted(np.zeros(len(weight)), weight).refusal()
    assert told in refusal and bool(refusal) == bool(told)


def test_without_a_model_of_rewards_there_is_no_doubly_robust_estimate() -> None:
    assert {*estimates(Weighted(np.ones(3), np.ones(3)))} == {"ips", "snips"}


def test_of_no_impressions_nothing_is_known() -> None:
    nothing = Weighted(np.zeros(0), np.zeros(0))
    assert nothing.effective_sample_size == nothing.overlap == 0 and nothing.refusal()
