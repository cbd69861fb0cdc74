"""Calibration: probabilities come to match what happens, and never change an order.

One pair of surface and head is tested in depth, then that the pairs of a bank do not mix.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import flat
from torch import Tensor

from headrace.model.calibration import MIN_LABELS, STEP, PlattBank, per_impression


def stream(seed: int, slope: float, offset: float, num: int = 256) -> tuple[Tensor, Tensor]:
    """Logits whose labels happen with probability sigmoid(slope x logit + offset)."""
    random = torch.Generator().manual_seed(seed)
    logit_N = 2 * torch.randn(num, generator=random)
    p_N = torch.sigmoid(slope * logit_N + offset)
    return logit_N, (torch.rand(num, generator=random) < p_N).float()


def learn(bank: PlattBank, logit_N: Tensor, label_N: Tensor) -> None:
    """Teach the bank's only head, on surface 0."""
    bank.learn(logit_N[:, None], label_N[:, None], torch.zeros(len(logit_N), dtype=torch.int64))


def probabilities(bank: PlattBank, logit_N: Tensor) -> Tensor:
    return bank(logit_N[:, None], torch.zeros(len(logit_N), dtype=torch.int64))[:, 0]


def learned(slope: float, offset: float, batches: int = 400) -> PlattBank:
    bank = PlattBank()
    for number in range(batches):
        learn(bank, *stream(number, slope, offset))
    return bank


def test_before_any_label_it_is_the_sigmoid() -> None:
    logit_N = torch.linspace(-9, 9, 50)
    assert torch.equal(probabilities(PlattBank(), logit_N), torch.sigmoid(logit_N))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, -0.4), (1.3, 0.3)])
def test_it_learns_the_slope_and_offset_of_a_stream(slope: float, offset: float) -> None:
    bank = learned(slope, offset)
    assert bank.weight_SJ2[0, 0].tolist() == pytest.approx([slope, offset], abs=0.08)
    logit_N, label_N = stream(10_000, slope, offset, num=50_000)
    ratio = float(probabilities(bank, logit_N).sum() / label_N.sum())
    assert ratio == pytest.approx(1.0, abs=0.03)


def test_a_step_is_adagrad_on_the_mean_log_loss() -> None:
    bank = PlattBank(learning_rate=0.1)
    logit_N = torch.tensor([0.0, 2.0]).repeat(STEP // 2)
    label_N = torch.tensor([1.0, 0.0]).repeat(STEP // 2)
    error = np.array([0.5 - 1.0, 1 / (1 + np.exp(-2.0))])
    gradient = np.array([(error * [0.0, 2.0]).mean(), error.mean()])
    learn(bank, logit_N[:-1], label_N[:-1])
    assert bank.weight_SJ2[0, 0].tolist() == [1.0, 0.0], "there are not enough for a step yet"
    learn(bank, logit_N[-1:], label_N[-1:])
    expected = np.array([1.0, 0.0]) - 0.1 * gradient / np.sqrt(1e-2 + gradient**2)
    assert bank.weight_SJ2[0, 0].numpy() == pytest.approx(expected, rel=1e-5)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([1, 2, 7, 64, 128]), min_size=1, max_size=30))
def test_the_sizes_of_batches_do_not_matter(sizes: list[int]) -> None:
    logit_N, label_N = stream(0, 0.5, -0.4, num=4 * STEP)
    whole, parts = PlattBank(), PlattBank()
    for rows in torch.arange(len(logit_N)).split(STEP):
        learn(whole, logit_N[rows], label_N[rows])
    for rows in torch.arange(len(logit_N)).split(STEP):
        while len(rows):
            size = sizes[len(rows) % len(sizes)]
            learn(parts, logit_N[rows[:size]], label_N[rows[:size]])
            rows = rows[size:]
    assert torch.allclose(parts.weight_SJ2, whole.weight_SJ2, atol=1e-4)


@settings(max_examples=20)
@given(st.integers(0, 2**20))
def test_a_rank_never_turns_over_whatever_it_learned(seed: int) -> None:
    bank = PlattBank(learning_rate=5.0)
    for number in range(5):
        learn(bank, *stream(seed + number, slope=-3.0, offset=0.0, num=STEP))
    p_N = probabilities(bank, torch.linspace(-3, 3, 40))
    assert torch.isfinite(p_N).all() and (p_N.diff() >= 0).all()
    assert bank.weight_SJ2[0, 0, 0] >= 0.1


SLOPES = ((1.0, 0.5), (1.4, 0.7))  # per surface and head
OFFSETS = ((0.0, 0.6), (-0.5, 0.3))


def of_two(seed: int, surface: int, num: int = 256) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels and surfaces of rows of one surface with two heads."""
    columns = [
        stream(2 * seed + head, SLOPES[surface][head], OFFSETS[surface][head], num)
        for head in range(2)
    ]
    logit_C2, label_C2 = (torch.stack(parts, 1) for parts in zip(*columns, strict=True))
    return logit_C2, label_C2, torch.full((num,), surface)


def mixed(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    logits, labels, surfaces = zip(of_two(seed, 0), of_two(seed + 1_000, 1), strict=True)
    return torch.cat(logits), torch.cat(labels), torch.cat(surfaces)


def bank_of_two(batches: int = 400) -> PlattBank:
    bank = PlattBank(num_surfaces=2, num_heads=2)
    for number in range(batches):
        bank.learn(*mixed(number))
    return bank


def test_heads_learn_apart_and_a_surface_learns_from_its_own_rows() -> None:
    weight_J2 = bank_of_two().weight_SJ2[1].tolist()
    for head in range(2):
        expected = [SLOPES[1][head], OFFSETS[1][head]]
        assert weight_J2[head] == pytest.approx(expected, abs=0.1)


def test_the_first_row_learns_from_all_surfaces() -> None:
    bank, alone = bank_of_two(batches=20), PlattBank(num_surfaces=1, num_heads=2)
    for number in range(20):
        logit_C2, label_C2, surface_C = mixed(number)
        alone.learn(logit_C2, label_C2, torch.zeros_like(surface_C))
    assert torch.allclose(bank.weight_SJ2[0], alone.weight_SJ2[0], atol=1e-6)


def test_a_surface_with_few_labels_speaks_by_the_row_of_all() -> None:
    bank = PlattBank(num_surfaces=3, num_heads=2)
    logit_C2, label_C2, surface_C = of_two(1, surface=1, num=MIN_LABELS - 1)
    bank.learn(logit_C2, label_C2, surface_C)
    bank.learn(*of_two(2, surface=0))
    everywhere_C = torch.zeros_like(surface_C)
    assert torch.equal(bank(logit_C2, surface_C), bank(logit_C2, everywhere_C))
    bank.learn(logit_C2[:1], label_C2[:1], surface_C[:1])
    assert not torch.equal(bank(logit_C2, surface_C), bank(logit_C2, everywhere_C))
    assert torch.equal(bank(logit_C2, everywhere_C + 2), bank(logit_C2, everywhere_C))


def test_unknown_labels_teach_nothing() -> None:
    bank, spared = bank_of_two(batches=3), bank_of_two(batches=3)
    logit_C2, label_C2, surface_C = mixed(50)
    label_C2[::2, 1] = torch.nan
    bank.learn(logit_C2, label_C2, surface_C)
    label_C2[1::2, 1], kept = torch.nan, label_C2[1::2, 1].clone()
    spared.learn(logit_C2, label_C2, surface_C)
    label_C2[:] = torch.nan
    label_C2[1::2, 1] = kept
    spared.learn(logit_C2, label_C2, surface_C)
    assert torch.allclose(bank.weight_SJ2, spared.weight_SJ2, atol=1e-6)


def test_logits_beyond_the_scalar_heads_are_left_out() -> None:
    bank = bank_of_two(batches=3)
    logit_C2, _, surface_C = mixed(9)
    wide_CK = torch.cat([logit_C2, torch.randn(len(logit_C2), 3)], 1)
    assert torch.equal(bank(wide_CK, surface_C), bank(logit_C2, surface_C))


def test_a_loaded_bank_goes_on_as_the_saved_one() -> None:
    bank, loaded = bank_of_two(batches=5), PlattBank(num_surfaces=2, num_heads=2)
    state = bank.state()
    loaded.load_state(state)
    for one in (bank, loaded):
        one.learn(*(part[:100] for part in mixed(76)))
    state = bank.state()
    loaded.load_state(state)
    for one in (bank, loaded):
        one.learn(*mixed(77))
    assert torch.equal(bank.weight_SJ2, loaded.weight_SJ2)
    assert not torch.equal(state["weight"], bank.weight_SJ2)  # what was saved stays as it was
    assert flat(bank.state()) == flat(loaded.state())


def test_what_is_probable_given_a_click_needs_the_click_in_an_impression() -> None:
    p_XJ = np.array([[0.5, 0.25, 0.5], [0.0, 0.25, 1.0]], np.float32)
    made_XJ = per_impression(p_XJ, (False, False, True))
    assert made_XJ.tolist() == [[0.5, 0.25, 0.25], [0.0, 0.25, 0.0]] and made_XJ.dtype == np.float32
    assert np.array_equal(per_impression(p_XJ, (False,) * 3), p_XJ)


@given(st.integers(0, 2), st.floats(-200, 200))
def test_the_candidates_of_one_request_get_the_same(surface: int, logit: float) -> None:
    bank = PlattBank(num_surfaces=3, num_heads=2)
    bank.weight_SJ2 += torch.arange(12.0).view(3, 2, 2) / 10
    bank._count_SJ += torch.tensor([[MIN_LABELS, 0], [MIN_LABELS, MIN_LABELS], [0, 3]])
    logit_CK = torch.tensor([[logit, 1.0, 9.0], [0.5, -logit, 9.0]])
    expected = bank(logit_CK, torch.tensor([surface, surface]))
    found = torch.from_numpy(bank.of_request(logit_CK.numpy(), surface))
    torch.testing.assert_close(found, expected)
