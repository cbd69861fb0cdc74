"""Losses: against their formulas, and unknown labels that have no part in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headrace.learning.loss import binary_loss, categorical_loss, entire_space_loss, heads_loss
from headrace.model.config import CLICK, Head

NAN = float("nan")
logits = st.lists(st.floats(-30, 30), min_size=1, max_size=8)


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def cross_entropy(p: float, label: float) -> float:
    return -(label * math.log(p) + (1 - label) * math.log1p(-p))


def test_binary_loss_is_the_sum_of_cross_entropies_over_known_labels() -> None:
    expected = cross_entropy(sigmoid(0.5), 1) + cross_entropy(sigmoid(-2.0), 0)
    loss = binary_loss(torch.tensor([0.5, 7.0, -2.0]), torch.tensor([1.0, NAN, 0.0]))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@given(st.floats(-6, 6), st.floats(-6, 6), st.sampled_from([0.0, 1.0]))
def test_entire_space_loss_is_the_cross_entropy_of_the_product(
    click: float, after: float, label: float
) -> None:
    loss = entire_space_loss(torch.tensor([click]), torch.tensor([after]), torch.tensor([label]))
    expected = cross_entropy(sigmoid(click) * sigmoid(after), label)
    assert float(loss) == pytest.approx(expected, rel=2e-3, abs=1e-5)


def test_entire_space_loss_teaches_both_of_its_heads() -> None:
    click_C, after_C = (torch.zeros(2, requires_grad=True) for _ in range(2))
    entire_space_loss(click_C, after_C, torch.tensor([1.0, 0.0])).backward()
    for gradient in (click_C.grad, after_C.grad):
        assert gradient is not None and gradient[0] < 0 < gradient[1]


@given(logits, logits)
def test_losses_and_gradients_are_finite_for_any_logit(
    click: list[float], after: list[float]
) -> None:
    size = min(len(click), len(after))
    for label in (0.0, 1.0):
        click_C = torch.tensor(click[:size], requires_grad=True)
        after_C = torch.tensor(after[:size], requires_grad=True)
        loss = entire_space_loss(click_C, after_C, torch.full((size,), label))
        loss = loss + binary_loss(click_C, torch.full((size,), label))
        loss.backward()
        for gradient in (click_C.grad, after_C.grad):
            assert gradient is not None and torch.isfinite(gradient).all()
        assert torch.isfinite(loss) and loss >= 0


def test_categorical_loss_is_the_cross_entropy_of_the_softmax() -> None:
    logit_CK = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    loss = categorical_loss(logit_CK, torch.tensor([2.0, NAN, 1.0]))
    first = -math.log(math.exp(3) / sum(map(math.exp, (1, 2, 3))))
    third = -math.log(1 / (2 + math.exp(5)))
    assert float(loss) == pytest.approx(first + third, rel=1e-5)


HEADS = (
    Head(CLICK, weight=2.0),
    Head("buy", "after_click", weight=3.0),
    Head("kind", "categorical", num_classes=3, weight=5.0),
)


def random_rows(num: int = 6) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(3)
    logit_CK = torch.from_numpy(random.normal(0, 1, (num, 5)).astype(np.float32))
    label_CJ = torch.from_numpy(random.integers(0, 2, (num, 3)).astype(np.float32))
    return logit_CK, label_CJ


def test_the_heads_losses_add_up_by_their_weights() -> None:
    logit_CK, label_CJ = random_rows()
    expected = (
        2.0 * binary_loss(logit_CK[:, 0], label_CJ[:, 0])
        + 3.0 * entire_space_loss(logit_CK[:, 0], logit_CK[:, 1], label_CJ[:, 1])
        + 5.0 * categorical_loss(logit_CK[:, 2:], label_CJ[:, 2])
    )
    assert torch.allclose(heads_loss(HEADS, logit_CK, label_CJ, 6), expected / 6)


@given(st.integers(1, 5))
def test_a_sample_weighs_its_share_of_a_full_batch_however_it_comes(size: int) -> None:
    logit_CK, label_CJ = random_rows()
    whole = heads_loss(HEADS, logit_CK, label_CJ, 6)
    parts = [
        heads_loss(HEADS, logits, labels, 6)
        for logits, labels in zip(logit_CK.split(size), label_CJ.split(size), strict=True)
    ]
    assert torch.allclose(sum(parts), whole)


def test_a_batch_that_is_larger_than_a_full_one_weighs_no_more() -> None:
    logit_CK, label_CJ = random_rows()
    twice = heads_loss(HEADS, logit_CK.repeat(2, 1), label_CJ.repeat(2, 1), 6)
    assert torch.allclose(twice, heads_loss(HEADS, logit_CK, label_CJ, 6))


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_a_row_whose_label_is_unknown_does_not_count_for_that_head(unknown: int) -> None:
    logit_CK, label_CJ = random_rows()
    label_CJ[2:, unknown] = NAN
    label_CJ[:, [j for j in range(3) if j != unknown]] = NAN
    logit_CK.requires_grad_(True)
    loss = heads_loss(HEADS, logit_CK, label_CJ, 6)
    loss.backward()
    assert torch.allclose(loss, heads_loss(HEADS, logit_CK[:2], label_CJ[:2], 6))
    assert logit_CK.grad is not None
    assert logit_CK.grad[:2].any() and not logit_CK.grad[2:].any()


def test_no_known_label_at_all_is_no_loss_and_no_gradient() -> None:
    logit_CK, label_CJ = random_rows()
    logit_CK.requires_grad_(True)
    loss = heads_loss(HEADS, logit_CK, torch.full_like(label_CJ, NAN), 6)
    loss.backward()
    assert loss == 0 and logit_CK.grad is not None and not logit_CK.grad.any()
