"""Fusion: every kind keeps the promises of the interface, and some are checked by their formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from headrace.errors import ConfigError
from headrace.model.layers.fusion import FUSIONS, Fusion, make_fusion

NUM, NUM_MODALITIES, DIM = 12, 4, 6

every_kind = pytest.mark.parametrize("kind", FUSIONS)


def make(kind: str) -> Fusion:
    """A fusion whose learned vectors are not at their first values, which hide mistakes."""
    torch.manual_seed(5)
    fusion = make_fusion(kind, DIM, NUM_MODALITIES)
    for parameter in fusion.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return fusion


def inputs(seed: int = 1) -> tuple[Tensor, Tensor]:
    """Tokens and a mask; row 0 has everything, row 1 nothing, row 2 one modality."""
    random = torch.Generator().manual_seed(seed)
    tokens_BMD = torch.randn(NUM, NUM_MODALITIES, DIM, generator=random)
    mask_BM = torch.rand(NUM, NUM_MODALITIES, generator=random) < 0.6
    mask_BM[0], mask_BM[1], mask_BM[2] = True, False, torch.arange(NUM_MODALITIES) == 2
    return tokens_BMD, mask_BM


@every_kind
@pytest.mark.parametrize("junk", [0.0, 1e6, float("nan"), float("inf")])
def test_what_lies_in_a_masked_slot_does_not_matter(kind: str, junk: float) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    fused_BD = fusion(tokens_BMD, mask_BM)
    spoilt_BMD = torch.where(mask_BM[..., None], tokens_BMD, junk)
    assert torch.equal(fusion(spoilt_BMD, mask_BM), fused_BD)
    assert torch.isfinite(fused_BD).all()


@every_kind
def test_permuting_the_masked_slots_changes_nothing(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    permuted_BMD = tokens_BMD.clone()
    for row in range(NUM):
        slots = torch.nonzero(~mask_BM[row]).ravel()
        permuted_BMD[row, slots] = tokens_BMD[row, slots.flip(0)]
    assert not torch.equal(permuted_BMD, tokens_BMD)
    assert torch.equal(fusion(permuted_BMD, mask_BM), fusion(tokens_BMD, mask_BM))


@every_kind
def test_what_lies_in_a_masked_slot_gets_and_spoils_no_gradient(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    spoilt_BMD = torch.where(mask_BM[..., None], tokens_BMD, float("nan")).requires_grad_(True)
    fusion(spoilt_BMD, mask_BM).square().sum().backward()
    assert spoilt_BMD.grad is not None
    assert not spoilt_BMD.grad[~mask_BM].any() and torch.isfinite(spoilt_BMD.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in fusion.parameters() if p.grad is not None)


@every_kind
def test_every_modality_that_is_there_matters(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    fused_BD = fusion(tokens_BMD, mask_BM)
    for slot in range(NUM_MODALITIES):
        changed_BMD = tokens_BMD.clone()
        changed_BMD[:, slot] += 4.0 * (torch.arange(DIM) < DIM // 2)
        changed_B = (fusion(changed_BMD, mask_BM) != fused_BD).any(1)
        assert torch.equal(changed_B, mask_BM[:, slot])


@every_kind
def test_an_item_without_any_modality_gets_the_learned_vector(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    assert torch.equal(fusion(tokens_BMD, mask_BM)[1], fusion.nothing_D)
    nothing_BM = torch.zeros_like(mask_BM)
    assert torch.equal(fusion(tokens_BMD, nothing_BM), fusion.nothing_D.expand(NUM, DIM))


@every_kind
def test_an_item_is_fused_as_if_it_were_alone(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    alone_BD = [fusion(tokens_BMD[n : n + 1], mask_BM[n : n + 1]) for n in range(NUM)]
    assert torch.allclose(torch.cat(alone_BD), fusion(tokens_BMD, mask_BM), atol=1e-6)


@every_kind
def test_modalities_are_told_apart(kind: str) -> None:
    """The same token in another slot gives another vector, or one could not tell a title."""
    fusion, (tokens_BMD, _) = make(kind), inputs()
    first_BM, second_BM = torch.zeros(2, NUM, NUM_MODALITIES, dtype=torch.bool)
    first_BM[:, 0] = second_BM[:, 1] = True
    same_BMD = tokens_BMD[:, :1].expand(-1, NUM_MODALITIES, -1)
    assert not torch.allclose(fusion(same_BMD, first_BM), fusion(same_BMD, second_BM))


@every_kind
def test_gradients_reach_every_parameter(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    target_BD = torch.randn(NUM, DIM, generator=torch.Generator().manual_seed(2))
    (fusion(tokens_BMD, mask_BM) * target_BD).sum().backward()
    still = [n for n, p in fusion.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@every_kind
def test_weights_share_out_one_among_what_is_there(kind: str) -> None:
    fusion, (tokens_BMD, mask_BM) = make(kind), inputs()
    weight_BM = fusion.weights(tokens_BMD, mask_BM)
    assert (weight_BM >= 0).all() and not weight_BM[~mask_BM].any()
    assert torch.allclose(weight_BM.sum(1), mask_BM.any(1).float(), atol=1e-5)


def test_the_mean_is_the_mean_and_the_max_the_max_of_what_is_there() -> None:
    tokens_BMD, mask_BM = inputs()
    for kind in ("mean", "max"):
        fusion = make(kind)
        for row in (0, 2, 5):
            there_MD = (tokens_BMD[row] + fusion.modality_MD)[mask_BM[row]]
            expected_D = there_MD.mean(0) if kind == "mean" else there_MD.amax(0)
            fused_D = fusion(tokens_BMD, mask_BM)[row]
            assert torch.allclose(fused_D, expected_D, atol=1e-6)


def test_a_name_without_a_fusion_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="fusion 'blend': there are concat, mean, max"):
        make_fusion("blend", DIM, NUM_MODALITIES)
