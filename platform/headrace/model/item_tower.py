"""The item tower: content, fused, and the id become what the ranker knows of an item.

    U items   X items or candidates   M modalities   D width   H hidden   K logits   W vector width

It is computed once per weight version and item and kept: `ItemSide` is what histories and
candidates read, `CandidateSide` adds what only candidates need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace.model.batch import Items
from headrace.model.fusion import make_fusion
from headrace.model.ranker_config import RankerConfig
from headrace.model.tokens import MODALITIES


@dataclass(frozen=True, slots=True)
class ItemRows:
    """The rows of the embedding tables that some items need."""

    token_VD: Tensor  # of the distinct tokens
    id_UD: Tensor
    bias_UK: Tensor


@dataclass(frozen=True, slots=True)
class ItemSide:
    """What histories and candidates read of an item."""

    vector_XD: Tensor
    content_XD: Tensor  # of length 1, for cosines; no gradient
    bias_XK: Tensor

    def rows(self, row_X: Tensor) -> ItemSide:
        """The items of these rows."""
        return ItemSide(
            functional.embedding(row_X, self.vector_XD),
            functional.embedding(row_X, self.content_XD),
            functional.embedding(row_X, self.bias_XK),
        )


@dataclass(frozen=True, slots=True)
class CandidateSide:
    """An item as a candidate: its question to the history, its part of the first layer."""

    items: ItemSide
    query_XD: Tensor
    hidden_XH: Tensor

    def rows(self, row_X: Tensor) -> CandidateSide:
        """The candidates of these rows."""
        return CandidateSide(
            self.items.rows(row_X),
            functional.embedding(row_X, self.query_XD),
            functional.embedding(row_X, self.hidden_XH),
        )


class ItemTower(nn.Module):
    """From tokens, content vectors and id to the two sides."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        dim, widths = config.dim, config.content_widths
        self._dropout = config.modality_dropout
        self.project = nn.ModuleList([nn.Linear(width, dim) for width in widths])
        self.fusion = make_fusion(config.fusion, dim, len(MODALITIES) + len(widths))
        self.content = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.first = nn.Linear(dim, config.hidden, bias=False)

    def forward(self, items: Items, rows: ItemRows, dropout_seed: int | None = None) -> ItemSide:
        """The side of all items; with a seed, some modalities are dropped at random."""
        token_UMD, mask_UM = self.modalities(items, rows.token_VD)
        if dropout_seed is not None and self._dropout:
            mask_UM = mask_UM & (_uniform(dropout_seed, mask_UM) >= self._dropout)
        fused_UD = self.fusion(token_UMD, mask_UM)
        content_UD = fused_UD if items.vector_UMW is None else _mean_direction(items)
        return ItemSide(
            vector_XD=self.content(fused_UD) + rows.id_UD,
            content_XD=functional.normalize(content_UD.detach().float(), dim=-1),
            bias_XK=rows.bias_UK,
        )

    def modalities(self, items: Items, token_VD: Tensor) -> tuple[Tensor, Tensor]:
        """[U, M, D], [U, M]: a token per modality, and which of them an item has."""
        bags = items.tokens
        mean_GD = functional.embedding_bag(bags.row_N, token_VD, bags.start_G, mode="mean")
        end_G = torch.cat([bags.start_G[1:], bags.start_G.new_tensor([len(bags.row_N)])])
        tokens = [mean_GD.view(len(items.key_U), -1, token_VD.shape[1])]
        masks = [(end_G > bags.start_G).view(len(items.key_U), -1)]
        if self.project:
            vectors, mask_UM = self._vectors(items)
            tokens.append(vectors)
            masks.append(mask_UM)
        return torch.cat(tokens, 1), torch.cat(masks, 1)

    def candidate_side(self, items: ItemSide) -> CandidateSide:
        """What these items are as candidates."""
        return CandidateSide(items, self.query(items.vector_XD), self.first(items.vector_XD))

    def _vectors(self, items: Items) -> tuple[Tensor, Tensor]:
        """[U, M, D], [U, M]: the content vectors at the ranker's width; none where none came."""
        if items.vector_UMW is None or items.mask_UM is None:
            shape, weight = (len(items.key_U), len(self.project)), self.content.weight
            mask_UM = torch.zeros(shape, dtype=torch.bool, device=weight.device)
            return weight.new_zeros(*shape, weight.shape[0]), mask_UM
        clean_UMW = torch.where(items.mask_UM[..., None], items.vector_UMW, 0)
        projected = [
            project(clean_UMW[:, place, : project.in_features])
            for place, project in enumerate(self.project)
        ]
        return torch.stack(projected, 1), items.mask_UM


def _mean_direction(items: Items) -> Tensor:
    """[U, W]: where the content vectors of an item point on average."""
    assert items.vector_UMW is not None and items.mask_UM is not None
    clean_UMW = torch.where(items.mask_UM[..., None], items.vector_UMW, 0)
    return functional.normalize(clean_UMW, dim=-1).sum(1)


def _uniform(seed: int, like: Tensor) -> Tensor:
    """Numbers in [0, 1) that follow from the seed alone, in the shape of a tensor."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(like.shape, generator=random).to(like.device)
