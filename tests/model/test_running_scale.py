"""Features come to zero mean and unit variance, as a stream of batches brings them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headrace.model.layers.scale import RunningScale

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def drawn(seed: int, num: int) -> torch.Tensor:
    """A feature of any size, and a rate."""
    random = np.random.default_rng(seed)
    columns = [random.normal(30, 7, num), random.uniform(0.05, 0.6, num)]
    return torch.tensor(np.stack(columns, 1), dtype=torch.float32)


@given(SIZES)
def test_batches_of_any_size_come_to_the_same_scale(sizes: list[int]) -> None:
    dense_CF = drawn(1, sum(sizes))
    whole, parts = RunningScale(2, rates=(1,)), RunningScale(2, rates=(1,))
    whole.observe(dense_CF)
    for part_CF in dense_CF.split(sizes):
        parts.observe(part_CF)
    assert torch.allclose(whole(dense_CF), parts(dense_CF), atol=1e-3)


def test_features_are_centred_and_of_unit_variance_and_rates_are_so_as_log_odds() -> None:
    dense_CF, scale = drawn(2, 20_000), RunningScale(2, rates=(1,))
    scale.observe(dense_CF)
    scaled_CF = scale(dense_CF)
    assert scaled_CF.mean(0).tolist() == pytest.approx([0, 0], abs=0.02)
    assert scaled_CF.std(0).tolist() == pytest.approx([1, 1], abs=0.02)
    log_odds_C, z_C = dense_CF[:, 1].logit().numpy(), scaled_CF[:, 1].numpy()
    assert np.corrcoef(log_odds_C, z_C)[0, 1] == pytest.approx(1, abs=1e-5)


def test_what_is_usual_comes_to_zero() -> None:
    scale = RunningScale(2, rates=(1,))
    scale.observe(drawn(3, 500))
    assert scale(scale.usual_F[None]).tolist() == [pytest.approx([0, 0], abs=1e-5)]


def test_rates_of_0_and_1_are_finite() -> None:
    scale = RunningScale(1, rates=(0,))
    scale.observe(torch.tensor([[0.0], [1.0], [0.5]]))
    assert torch.isfinite(scale(torch.tensor([[0.0], [1.0]]))).all()
