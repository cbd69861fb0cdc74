"""Calibration: probabilities come to match what happens, and never change an order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headrace.model.calibration import PlattScale


def stream(seed: int, slope: float, offset: float, num: int = 256) -> tuple[Tensor, Tensor]:
    """Logits whose labels happen with probability sigmoid(slope x logit + offset)."""
    random = torch.Generator().manual_seed(seed)
    logit_N = 2 * torch.randn(num, generator=random)
    p_N = torch.sigmoid(slope * logit_N + offset)
    return logit_N, (torch.rand(num, generator=random) < p_N).float()


def learned(slope: float, offset: float, batches: int = 400) -> PlattScale:
    scale = PlattScale()
    for number in range(batches):
        scale.learn(*stream(number, slope, offset))
    return scale


def test_before_any_label_it_is_the_sigmoid() -> None:
    logit_N = torch.linspace(-9, 9, 50)
    assert torch.equal(PlattScale()(logit_N), torch.sigmoid(logit_N))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -0.4), (1.3, 0.3)])
def test_it_learns_the_slope_and_offset_of_a_stream(slope: float, offset: float) -> None:
    scale = learned(slope, offset)
    assert scale.weight_2.tolist() == pytest.approx([slope, offset], abs=0.08)
    logit_N, label_N = stream(10_000, slope, offset, num=50_000)
    assert float(scale(logit_N).sum() / label_N.sum()) == pytest.approx(1.0, abs=0.03)


def test_a_step_is_adagrad_on_the_mean_log_loss() -> None:
    scale = PlattScale(learning_rate=0.1)
    logit_N, label_N = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    error = np.array([0.5 - 1.0, 1 / (1 + np.exp(-2.0))])
    gradient = np.array([(error * [0.0, 2.0]).mean(), error.mean()])
    scale.learn(logit_N, label_N)
    expected = np.array([1.0, 0.0]) - 0.1 * gradient / np.sqrt(1e-2 + gradient**2)
    assert scale.weight_2.numpy() == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**20))
def test_a_rank_never_turns_over_whatever_it_learned(seed: int) -> None:
    scale = PlattScale(learning_rate=5.0)
    for number in range(5):
        scale.learn(*stream(seed + number, slope=-3.0, offset=0.0, num=16))
    p_N = scale(torch.linspace(-3, 3, 40))
    assert torch.isfinite(p_N).all() and (p_N.diff() >= 0).all() and scale.weight_2[0] >= 0.1


def test_a_loaded_scale_goes_on_as_the_saved_one() -> None:
    scale, loaded = learned(0.7, 0.2, batches=5), PlattScale()
    state = scale.state()
    loaded.load_state(state)
    for one in (scale, loaded):
        one.learn(*stream(77, 0.7, 0.2))
    assert torch.equal(scale.weight_2, loaded.weight_2)
    assert not torch.equal(state["weight"], scale.weight_2)  # what was saved stays as it was
    assert all(torch.equal(scale.state()[name], loaded.state()[name]) for name in state)
