"""Scores: the metrics against scikit-learn, and that parts add up to the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from headrace.metrics import Scores

Floats = NDArray[np.float32]


def predictions(seed: int, num: int = 4_000, base: float = -1.0) -> tuple[Floats, Floats]:
    """Probabilities of different sharpness and labels drawn from them."""
    random = np.random.default_rng(seed)
    logit_N = random.normal(base, 1.5, num)
    label_N = (random.random(num) < 1 / (1 + np.exp(-logit_N))).astype(np.float32)
    p_N = 1 / (1 + np.exp(-(0.7 * logit_N + 0.2)))
    return p_N.astype(np.float32), label_N


def scored(p_N: Floats, label_N: Floats) -> Scores:
    scores = Scores()
    scores.add(p_N, label_N)
    return scores


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("base", [-4.0, -1.0, 2.0])
def test_the_metrics_agree_with_scikit_learn(seed: int, base: float) -> None:
    p_N, label_N = predictions(seed, num=40_000, base=base)
    scores = scored(p_N, label_N)
    rate = label_N.mean(dtype=np.float64)
    base_loss = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    loss = log_loss(label_N, p_N.astype(np.float64))
    assert scores.auc == pytest.approx(roc_auc_score(label_N, p_N), abs=1e-4)
    assert scores.sum_log_loss / scores.num_samples == pytest.approx(loss, abs=1e-6)
    assert scores.normalized_entropy == pytest.approx(loss / base_loss, abs=1e-5)
    assert scores.calibration == pytest.approx(p_N.sum(dtype=np.float64) / label_N.sum(), rel=1e-5)
    assert (scores.num_samples, scores.num_clicked) == (len(p_N), int(label_N.sum()))


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(0.0, 3.0), st.floats(-8, 8))
def test_the_auc_is_within_its_stated_error(seed: int, spread: float, middle: float) -> None:
    random = np.random.default_rng(seed)
    p_N = (1 / (1 + np.exp(-random.normal(middle, spread, 500)))).astype(np.float32)
    label_N = (random.random(500) < 0.3).astype(np.float32)
    scores = scored(p_N, label_N)
    assert abs(scores.auc - roc_auc_score(label_N, p_N)) <= scores.auc_error + 1e-9


def test_deciles_show_where_predictions_are_too_high() -> None:
    random = np.random.default_rng(0)
    p_N = random.beta(1, 4, 200_000)
    label_N = (random.random(200_000) < np.where(p_N < 0.1, p_N, p_N / 2)).astype(np.float32)
    deciles = scored(p_N.astype(np.float32), label_N).calibration_by_decile()
    edges = np.quantile(p_N, np.arange(1, 10) / 10)
    for number, decile in enumerate(deciles):
        inside = np.digitize(p_N, edges) == number
        assert decile.num_samples == pytest.approx(20_000, rel=0.03)
        assert decile.mean_p == pytest.approx(p_N[inside].mean(), rel=0.02)
        assert decile.click_rate == pytest.approx(label_N[inside].mean(), rel=0.05, abs=1e-3)
    assert deciles[0].calibration == pytest.approx(1, rel=0.1)
    assert deciles[9].calibration == pytest.approx(2, rel=0.1)
    assert len(deciles) == 10 and sum(d.num_samples for d in deciles) == 200_000


def test_deciles_of_few_samples_are_fewer() -> None:
    few = scored(np.array([0.1, 0.1, 0.8], np.float32), np.array([0, 0, 1], np.float32))
    low, high = few.calibration_by_decile()
    assert (low.num_samples, high.num_samples) == (2, 1)
    assert math.isnan(low.calibration) and high.calibration == pytest.approx(0.8, rel=0.005)
    assert Scores().calibration_by_decile() == []


def test_ties_count_half() -> None:
    p_N = np.full(10, 0.3, dtype=np.float32)
    label_N = np.array([1, 0] * 5, dtype=np.float32)
    assert scored(p_N, label_N).auc == 0.5
    assert roc_auc_score(label_N, p_N) == 0.5


def test_the_base_rate_predicted_always_has_normalized_entropy_and_calibration_one() -> None:
    label_N = np.array([1, 0, 0, 0], dtype=np.float32)
    scores = scored(np.full(4, 0.25, dtype=np.float32), label_N)
    assert scores.normalized_entropy == pytest.approx(1.0)
    assert scores.calibration == pytest.approx(1.0)


def test_certain_predictions_stay_finite() -> None:
    right = scored(np.array([0, 1], dtype=np.float32), np.array([0, 1], dtype=np.float32))
    wrong = scored(np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32))
    assert (right.auc, wrong.auc) == (1.0, 0.0)
    assert right.normalized_entropy == pytest.approx(0.0, abs=1e-6)
    assert math.isfinite(wrong.normalized_entropy) and wrong.normalized_entropy > 10


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 300), max_size=4))
def test_merged_parts_equal_the_whole(seed: int, cuts: list[int]) -> None:
    p_N, label_N = predictions(seed, num=300)
    whole, merged = scored(p_N, label_N), Scores()
    edges = [0, *sorted(cuts), 300]
    for start, end in zip(edges, edges[1:], strict=False):
        merged.merge(scored(p_N[start:end], label_N[start:end]))
    assert np.array_equal(merged.bins_2, whole.bins_2)
    assert merged.sum_p == pytest.approx(whole.sum_p)
    assert merged.sum_log_loss == pytest.approx(whole.sum_log_loss)
    assert merged.auc == pytest.approx(whole.auc, nan_ok=True)


def test_merging_leaves_the_other_as_it_was() -> None:
    one, other = scored(*predictions(1)), scored(*predictions(2))
    before = other.to_bytes()
    one.merge(other)
    one.add(*predictions(3))
    assert other.to_bytes() == before


def test_the_bytes_bring_back_an_equal_sketch_that_goes_on() -> None:
    scores = scored(*predictions(1))
    back = Scores.from_bytes(scores.to_bytes())
    assert back.to_bytes() == scores.to_bytes()
    assert (back.sum_p, back.sum_log_loss) == (scores.sum_p, scores.sum_log_loss)
    for sketch in (scores, back):
        sketch.add(*predictions(2))
    assert (back.auc, back.normalized_entropy) == (scores.auc, scores.normalized_entropy)
    assert back.calibration == scores.calibration


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_what_is_not_defined_is_nan(labels: list[int]) -> None:
    label_N = np.array(labels, dtype=np.float32)
    scores = scored(np.full(len(labels), 0.5, dtype=np.float32), label_N)
    assert math.isnan(scores.auc) and math.isnan(scores.normalized_entropy)
    assert math.isnan(scores.auc_error)
    assert math.isnan(scores.calibration) == (not any(labels))
