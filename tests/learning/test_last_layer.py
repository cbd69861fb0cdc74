"""The last layer: what it reads, how it is solved in one pass, and that it survives a restart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shop import RICH, asked, batch_of, flat, rich_batch, round_trip
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from headrace.learning import last_layer_fit
from headrace.learning.last_layer_fit import EVERY, FIRST_SAMPLES, LastLayerFit
from headrace.learning.learner import OnlineLearner
from headrace.model.config import RankerConfig
from headrace.model.layers.last_layer import NUM_MIXED, NUM_RANDOM, LastLayer

TRUTH_R = torch.tensor([0.3, 1.0, -0.7, 0.4])
GROUPS = (1, 3)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sample is left out, so that little streams get to a solution."""
    monkeypatch.setattr(last_layer_fit, "FIRST_SAMPLES", 0)


def drawn(num: int, truth_R: Tensor = TRUTH_R, seed: int = 0) -> tuple[Tensor, Tensor]:
    """[C, R], [C, 1]: what is read, a constant first, and clicks of these log odds."""
    draw = torch.Generator().manual_seed(seed)
    read_CR = torch.randn(num, len(truth_R), generator=draw)
    read_CR[:, 0] = 1
    clicked_C = torch.rand(num, generator=draw) < torch.sigmoid(read_CR @ truth_R)
    return read_CR, clicked_C.float()[:, None]


def fitted(read_CR: Tensor, label_CJ: Tensor, groups: tuple[int, ...] = GROUPS) -> LastLayerFit:
    """A fit that has learned these samples in order, without offsets."""
    fit = LastLayerFit(groups, label_CJ.shape[1])
    for rows in torch.arange(len(read_CR)).split(200):
        fit.learn(read_CR[rows], torch.zeros_like(label_CJ[rows]), label_CJ[rows])
    return fit


def test_one_pass_comes_to_where_a_solver_of_many_passes_does() -> None:
    read_CR, label_C1 = drawn(40_000)
    solved_R = fitted(read_CR, label_C1).weight_JR[0]
    x, y = read_CR[FIRST_SAMPLES:, 1:].numpy(), label_C1[FIRST_SAMPLES:, 0].numpy()
    solver = LogisticRegression().fit(x, y)
    expected_R = np.array([*solver.intercept_, *solver.coef_[0]])
    assert np.abs(solved_R.numpy() - expected_R).max() < 0.05


def test_of_what_the_network_knows_already_nothing_is_added(at_once: None) -> None:
    read_CR, label_C1 = drawn(20_000)
    fit = LastLayerFit(GROUPS, 1)
    for rows in torch.arange(len(read_CR)).split(200):
        fit.learn(read_CR[rows], (read_CR[rows] @ TRUTH_R)[:, None], label_C1[rows])
    assert fit.weight_JR.abs().max() < 0.1


def test_a_head_whose_labels_are_unknown_stays_where_it_was(at_once: None) -> None:
    read_CR, label_C1 = drawn(4_000)
    label_CJ = torch.cat([label_C1, torch.full_like(label_C1, torch.nan)], 1)
    both = fitted(read_CR, label_CJ)
    assert not both.weight_JR[1].any()
    alone = fitted(read_CR, label_C1)
    assert torch.allclose(both.weight_JR[:1], alone.weight_JR, rtol=1e-4, atol=1e-6)


def test_a_group_that_says_nothing_stays_near_zero_by_itself() -> None:
    truth_R = torch.cat([TRUTH_R, torch.zeros(60)])
    read_CR, label_C1 = drawn(20_000, truth_R)
    together = fitted(read_CR, label_C1, groups=(1, 63)).weight_JR[0]
    apart = fitted(read_CR, label_C1, groups=(1, 3, 60)).weight_JR[0]
    assert apart[4:].norm() < 0.7 * together[4:].norm()
    assert (apart[:4] - TRUTH_R).abs().max() < 0.1


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_leaves_no_trace(at_once: None, value: float) -> None:
    read_CR, label_C1 = drawn(4_000)
    fit = fitted(read_CR, label_C1)
    before = flat(round_trip(fit.state()))
    read_CR[3, 2], label_C1[3] = value, torch.nan
    assert not fit.learn(read_CR[:20], torch.zeros(20, 1), label_C1[:20])
    assert flat(round_trip(fit.state())) == before


@pytest.mark.parametrize("scale", [1e9, 1e12, 1e15])
def test_weights_stay_where_rounding_leaves_nothing_to_solve(at_once: None, scale: float) -> None:
    read_CR, label_C1 = drawn(2_000)
    fit = fitted(read_CR, label_C1)
    before_JR = fit.weight_JR.clone()
    read_CR[:, 2] = read_CR[:, 1] = scale * read_CR[:, 1]
    for rows in torch.arange(len(read_CR)).split(200):
        assert not fit.learn(read_CR[rows], torch.zeros(200, 1), label_C1[rows])
    assert before_JR.any() and torch.equal(fit.weight_JR, before_JR)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_units_of_what_is_read_are_no_reason_not_to_solve(at_once: None, scale: float) -> None:
    read_CR, label_C1 = drawn(4_000)
    read_CR[:, 2] *= scale
    assert fitted(read_CR, label_C1).weight_JR[0, 1:].abs().min() > 1e-6


def test_the_learner_holds_where_its_last_layer_has_nothing_to_solve(at_once: None) -> None:
    """A column that is the copy of another, and far from unit scale, on every path of a ranker."""
    made = OnlineLearner(RICH, seed=1, window=1_000)
    for seed in range(6):
        made.learn(rich_batch(seed))
    before_RK = made.ranker.last.weight_RK.clone()
    made._last_layer._precision_JRR[:, 1:3, 1:3] = 1e24
    for seed in range(6, 60):
        made.learn(rich_batch(seed))
    assert torch.equal(made.ranker.last.weight_RK, before_RK)
    assert np.isfinite(made.predict(rich_batch(99))).all()


def test_what_was_long_ago_is_forgotten(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_layer_fit, "MEMORY", 2_000)
    (old_CR, old_C1), (new_CR, new_C1) = drawn(10_000, -TRUTH_R), drawn(10_000, TRUTH_R, seed=1)
    fit = fitted(torch.cat([old_CR, new_CR]), torch.cat([old_C1, new_C1]))
    assert (fit.weight_JR[0] - TRUTH_R).abs().max() < 0.25


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_every_fourth_sample_stands_for_four_whatever_the_batches(sizes: list[int]) -> None:
    skipped_CR, label_C1 = drawn(FIRST_SAMPLES)
    fit = LastLayerFit(GROUPS, 1)
    fit.learn(skipped_CR, torch.zeros_like(label_C1), label_C1)
    read_CR, label_C1 = drawn(sum(sizes), seed=1)
    for rows in torch.arange(len(read_CR)).split(sizes):
        fit.learn(read_CR[rows], torch.full_like(label_C1[rows], -30), label_C1[rows])
    stand_CR = read_CR[::EVERY]
    expected_RR = EVERY * last_layer_fit.MIN_CURVATURE * stand_CR.T @ stand_CR
    assert torch.allclose(fit.state()["precision"][0].float(), expected_RR, rtol=0.02, atol=1e-5)


def test_a_restart_of_the_fit_changes_nothing() -> None:
    read_CR, label_C1 = drawn(12_000)
    whole, first = fitted(read_CR, label_C1), fitted(read_CR[:6_000], label_C1[:6_000])
    second = LastLayerFit(GROUPS, 1)
    second.load_state(round_trip(first.state()))
    for rows in torch.arange(6_000, 12_000).split(200):
        second.learn(read_CR[rows], torch.zeros_like(label_C1[rows]), label_C1[rows])
    assert whole.weight_JR.any()
    assert flat(round_trip(second.state())) == flat(round_trip(whole.state()))


def test_it_reads_a_constant_the_features_the_layers_and_functions_of_a_few_features() -> None:
    layer = LastLayer(num_features=10, widths=(3, 2), num_logits=1)
    assert layer.group_sizes == (1, 10, 3, 2, NUM_RANDOM)
    dense_CF = torch.randn(50, 10)
    of_three, of_two = torch.randn(50, 3), torch.randn(50, 2)
    read_CR = layer.read(dense_CF, of_three, of_two)
    constant, features, three, two, random_CN = read_CR.split(layer.group_sizes, 1)
    assert (constant == 1).all() and torch.equal(features, dense_CF)
    assert torch.equal(three, of_three) and torch.equal(two, of_two)
    reads_FN = torch.stack(
        [
            (layer.read(dense_CF + (torch.arange(10) == f), of_three, of_two) != read_CR).any(0)
            for f in range(10)
        ]
    )[:, -NUM_RANDOM:]
    assert (reads_FN.sum(0) <= NUM_MIXED).all() and (random_CN >= 0).all()
    assert reads_FN.any(1).all()
    assert not layer(read_CR).any()


def test_what_two_features_say_together_is_learned_in_one_short_pass(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved = entropy_of_a_stream()
    monkeypatch.setattr(last_layer_fit, "FIRST_SAMPLES", 1 << 40)
    assert solved < entropy_of_a_stream() - 0.05


def entropy_of_a_stream() -> float:
    """The progressive entropy of the second half, where a click is that two signs agree."""
    made = OnlineLearner(RankerConfig(5, dim=4, hidden=8), seed=1, window=5_000)
    for seed in range(100):
        batch = batch_of(*(asked(100 * seed + n, num_items=5) for n in range(20)))
        dense_CF = batch.candidates.dense_CF
        agree_C1 = (dense_CF[:, :1] * dense_CF[:, 1:2] > 0).float()
        made.learn(replace(batch, candidates=replace(batch.candidates, label_CJ=agree_C1)))
    return made.take_windows()[1].normalized_entropy


def test_a_restart_of_the_learner_with_solved_weights_changes_nothing(at_once: None) -> None:
    whole, first, second = (OnlineLearner(RICH, seed, 1_000) for seed in (1, 1, 2))
    for seed in range(6):
        whole.learn(rich_batch(seed))
    for seed in range(3):
        first.learn(rich_batch(seed))
    second.load_state(round_trip(first.state()))
    for seed in range(3, 6):
        second.learn(rich_batch(seed))
    assert whole.ranker.last.weight_RK.any()
    assert flat(round_trip(second.state())) == flat(round_trip(whole.state()))


def test_heads_of_several_classes_are_the_networks_alone(at_once: None) -> None:
    made = OnlineLearner(RICH, seed=1, window=1_000)
    for seed in range(6):
        made.learn(rich_batch(seed))
    with torch.no_grad():
        scored = made.ranker.eval()(rich_batch(9))
    num_scalar = len(RICH.scalar_heads)
    added_CK = scored.logit_CK - scored.network_CK
    assert added_CK[:, :num_scalar].any(0).all() and not added_CK[:, num_scalar:].any()
