"""Fusion: the tokens of an item's modalities become one vector.

    B items   M modalities   D width   N latents

Every kind has one interface, `fuse(tokens_BMD, mask_BM) -> fused_BD`, and keeps three promises:
what lies in a masked slot does not matter, whatever it is; an item without any modality gets a
learned vector; and an item's result does not depend on the other items.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from headrace.errors import ConfigError

NUM_LATENTS: Final = 4
FAR: Final = -1e4  # a masked logit; finite, so that a row with nothing but masks is no NaN


class Fusion(nn.Module):
    """The base of all kinds: masks, modality embeddings, the vector for nothing at all."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__()
        self.modality_MD = nn.Parameter(0.02 * torch.randn(num_modalities, dim))
        self.nothing_D = nn.Parameter(torch.zeros(dim))

    def forward(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        """[B, D]: the fused vectors. The mask is True where an item has the modality."""
        known_BMD = torch.where(mask_BM[..., None], tokens_BMD + self.modality_MD, 0)
        fused_BD = self.combine(known_BMD, mask_BM)
        return torch.where(mask_BM.any(1, keepdim=True), fused_BD, self.nothing_D)

    @abstractmethod
    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        """[B, D]: of tokens that are zeros where they are masked; any number, but no NaN, for
        an item without modalities."""

    @torch.no_grad()
    def weights(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        """[B, M]: how much each modality counts; the sum is 1, or 0 without any.

        The size of the change when the modality is left out, as a share of those of all; kinds
        that weigh their modalities give their weights instead.
        """
        fused_BD = self(tokens_BMD, mask_BM)
        changes = []
        for slot in range(mask_BM.shape[1]):
            others_BM = mask_BM.clone()
            others_BM[:, slot] = False
            changes.append((self(tokens_BMD, others_BM) - fused_BD).norm(dim=-1))
        change_BM = torch.stack(changes, 1) * mask_BM
        return change_BM / change_BM.sum(1, keepdim=True).clamp_min(1e-12)


class Weighted(Fusion):
    """A sum of the tokens by weights that sum to 1."""

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        return (self.weigh(tokens_BMD, mask_BM)[..., None] * tokens_BMD).sum(1)

    @abstractmethod
    def weigh(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        """[B, M]: the weights, zero where masked."""

    @torch.no_grad()
    def weights(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        known_BMD = torch.where(mask_BM[..., None], tokens_BMD + self.modality_MD, 0)
        return self.weigh(known_BMD, mask_BM)


class Mean(Weighted):
    """Mean pooling of the tokens that are there."""

    def weigh(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        return mask_BM / mask_BM.sum(1, keepdim=True).clamp_min(1)


class Gated(Weighted):
    """A softmax over gates, each made from its token and the mean of all."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.of_token = nn.Linear(dim, 1, bias=False)
        self.of_mean = nn.Linear(dim, num_modalities)

    def weigh(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        mean_BD = tokens_BMD.sum(1) / mask_BM.sum(1, keepdim=True).clamp_min(1)
        logit_BM = self.of_token(tokens_BMD).squeeze(-1) + self.of_mean(mean_BD)
        return _softmax(logit_BM, mask_BM)


class Attention(Weighted):
    """A learned query looks at the tokens."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.query_D = nn.Parameter(dim**-0.5 * torch.randn(dim))
        self.key = nn.Linear(dim, dim, bias=False)

    def weigh(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        return _softmax(self.key(tokens_BMD).tanh() @ self.query_D, mask_BM)


class Max(Fusion):
    """Max pooling of the tokens that are there, width by width."""

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        return tokens_BMD.masked_fill(~mask_BM[..., None], FAR).amax(1)


class Concat(Fusion):
    """All tokens side by side, with learned ones where they are missing, and the mask."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.missing_MD = nn.Parameter(0.02 * torch.randn(num_modalities, dim))
        self.mix = nn.Linear(num_modalities * (dim + 1), dim)

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        filled_BMD = torch.where(mask_BM[..., None], tokens_BMD, self.missing_MD)
        mixed_BD: Tensor = self.mix(torch.cat([filled_BMD.flatten(1), mask_BM], 1))
        return mixed_BD


class Late(Fusion):
    """Late fusion: a tower per modality; only the towers' outputs are put together."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.first_MDD = nn.Parameter(dim**-0.5 * torch.randn(num_modalities, dim, dim))
        self.second_MDD = nn.Parameter(dim**-0.5 * torch.randn(num_modalities, dim, dim))
        self.weight_M = nn.Parameter(torch.zeros(num_modalities))

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        hidden_MBD = (tokens_BMD.transpose(0, 1) @ self.first_MDD).relu()
        tower_BMD = (hidden_MBD @ self.second_MDD).transpose(0, 1)
        weight_BM = _softmax(self.weight_M.expand_as(mask_BM), mask_BM)
        return (weight_BM[..., None] * tower_BMD).sum(1)


class Early(Fusion):
    """One sequence from the first layer on: a summary token and the modalities' in one layer."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.summary_D = nn.Parameter(0.02 * torch.randn(dim))
        self.layer = Block(dim)

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        summary_B1D = self.summary_D.expand(len(tokens_BMD), 1, -1)
        sequence_BMD = torch.cat([summary_B1D, tokens_BMD], 1)
        there_BM = torch.cat([torch.ones_like(mask_BM[:, :1]), mask_BM], 1)
        read_BMD: Tensor = self.layer(sequence_BMD, sequence_BMD, there_BM[:, None])
        return read_BMD[:, 0]


class CoAttention(Fusion):
    """Affinities of all pairs of tokens, read in both directions, then pooled."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.affinity = nn.Linear(dim, dim, bias=False)
        self.mix = nn.Linear(3 * dim, dim)

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        scale = tokens_BMD.shape[-1] ** -0.5
        affinity_BMM = self.affinity(tokens_BMD) @ tokens_BMD.transpose(1, 2) * scale
        pair_BMM = _others(mask_BM)
        forth_BMD = _softmax(affinity_BMM, pair_BMM) @ tokens_BMD
        back_BMD = _softmax(affinity_BMM.transpose(1, 2), pair_BMM) @ tokens_BMD
        mixed_BMD = self.mix(torch.cat([tokens_BMD, forth_BMD, back_BMD], -1)).relu()
        return _mean(mixed_BMD + tokens_BMD, mask_BM)


class CrossAttention(Fusion):
    """A transformer in which each modality asks the others."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.layers = nn.ModuleList([Block(dim), Block(dim)])

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        for layer in self.layers:
            tokens_BMD = layer(tokens_BMD, tokens_BMD, _others(mask_BM))
        return _mean(tokens_BMD, mask_BM)


class Perceiver(Fusion):
    """A few latents read the tokens, then each other."""

    def __init__(self, dim: int, num_modalities: int) -> None:
        super().__init__(dim, num_modalities)
        self.latent_ND = nn.Parameter(dim**-0.5 * torch.randn(NUM_LATENTS, dim))
        self.read, self.think = Block(dim), Block(dim)

    def combine(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        latent_BND: Tensor = self.read(
            self.latent_ND.expand(len(tokens_BMD), -1, -1), tokens_BMD, mask_BM[:, None]
        )
        every_B1N = torch.ones_like(mask_BM[:, :1, None]).expand(-1, 1, NUM_LATENTS)
        latent_BND = self.think(latent_BND, latent_BND, every_B1N)
        return latent_BND.mean(1)


class Block(nn.Module):
    """Pre-norm attention and feed-forward layer; a query that may read nothing adds nothing."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_query, self.norm_read = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.value, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, query_BND: Tensor, read_BMD: Tensor, mask_BNM: Tensor) -> Tensor:
        read_BMD = self.norm_read(read_BMD)
        query = self.query(self.norm_query(query_BND))
        logit_BNM = query @ self.key(read_BMD).transpose(1, 2) * query.shape[-1] ** -0.5
        attended_BND = _softmax(logit_BNM, mask_BNM) @ self.value(read_BMD)
        query_BND = query_BND + self.out(attended_BND)
        added_BND: Tensor = query_BND + self.feed_forward(query_BND)
        return added_BND


FUSIONS: Final[Mapping[str, type[Fusion]]] = {
    "concat": Concat,
    "mean": Mean,
    "max": Max,
    "gated": Gated,
    "attention": Attention,
    "early": Early,
    "late": Late,
    "co_attention": CoAttention,
    "cross_attention": CrossAttention,
    "perceiver": Perceiver,
}


def make_fusion(name: str, dim: int, num_modalities: int) -> Fusion:
    """The fusion of that name; raises `ConfigError` if there is none."""
    if name not in FUSIONS:
        raise ConfigError(f"fusion {name!r}: there are {', '.join(FUSIONS)}")
    return FUSIONS[name](dim, num_modalities)


def _softmax(logit_XM: Tensor, mask_XM: Tensor) -> Tensor:
    """The softmax over the unmasked entries; zeros where there are none."""
    return logit_XM.masked_fill(~mask_XM, FAR).softmax(-1) * mask_XM


def _others(mask_BM: Tensor) -> Tensor:
    """[B, M, M]: True where a modality can ask another one that is there."""
    self_MM = torch.eye(mask_BM.shape[1], dtype=torch.bool, device=mask_BM.device)
    return mask_BM[:, None] & ~self_MM


def _mean(tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
    """[B, D]: the mean of the tokens that are there."""
    return (tokens_BMD * mask_BM[..., None]).sum(1) / mask_BM.sum(1, keepdim=True).clamp_min(1)
