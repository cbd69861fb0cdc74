"""The item tower: an item's fused content and its id in, its representations out.

    U items   X items or candidates   M modalities   D width   H hidden   K logits   W vector width
    P width of a part   E entries of its factors   Y all of a candidate

It is computed once per weight version and item, and kept in an `ItemCache`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace.catalogue.table.columns import WORD_FIELDS
from headrace.model.batch import Items
from headrace.model.config import RankerConfig
from headrace.model.layers.fusion import make_fusion
from headrace.model.layers.indexing import rows_of


@dataclass(frozen=True, slots=True)
class ItemSide:
    """The representations of items in histories, from which those of candidates are made."""

    vector_XD: Tensor
    content_XD: Tensor  # of length 1, for cosines; no gradient
    bias_XK: Tensor
    factor_XE: Tensor  # see `item_factors`; no gradient

    def rows(self, row_X: Tensor) -> ItemSide:
        """The items of these rows."""
        return ItemSide(
            rows_of(self.vector_XD, row_X),
            rows_of(self.content_XD, row_X),
            rows_of(self.bias_XK, row_X),
            rows_of(self.factor_XE, row_X),
        )


@dataclass(frozen=True, slots=True)
class CandidateSide:
    """The representations of items as candidates."""

    query_XD: Tensor  # its question to the history
    content_XD: Tensor
    part_XP: Tensor  # what the pair network multiplies with the user's side
    hidden_XH: Tensor  # its part of the first layer
    bias_XK: Tensor
    factor_XE: Tensor


@dataclass(frozen=True, slots=True)
class ItemCache:
    """Both sides of many items, computed once; a candidate's values lie next to each other."""

    items: ItemSide
    candidate_XY: Tensor
    widths: tuple[int, ...]

    def rows(self, row_C: Tensor) -> CandidateSide:
        """The candidates of these rows."""
        return CandidateSide(
            *torch.split(self.candidate_XY.index_select(0, row_C), list(self.widths), -1)
        )


class ItemTower(nn.Module):
    """From words, content vectors and id to the two sides."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        dim, widths = config.dim, config.content_widths
        self._dropout, self._widths = config.modality_dropout, widths
        self.project = nn.ModuleList([nn.Linear(width, dim) for width in widths])
        self.fusion = make_fusion(config.fusion, dim, len(WORD_FIELDS) + len(widths))
        self.content = nn.Linear(dim, dim)
        self.query = nn.Linear(dim, dim)
        self.part = nn.Linear(dim, config.pair)
        self.first = nn.Linear(dim, config.hidden, bias=False)

    def dropped(self, mask_UM: Tensor, seed: int) -> Tensor:
        """[U, M]: the mask with as many modalities dropped at random as is configured."""
        if not self._dropout:
            return mask_UM
        return mask_UM & (_uniform(seed, mask_UM) >= self._dropout)

    def side(
        self, fused_UD: Tensor, items: Items, id_UD: Tensor, bias_UK: Tensor, factor_UE: Tensor
    ) -> ItemSide:
        """The representations of these items in histories."""
        content_UD = self._direction(items) if self._widths else fused_UD
        return ItemSide(
            vector_XD=self.content(fused_UD) + id_UD,
            content_XD=functional.normalize(content_UD.detach().float(), dim=-1),
            bias_XK=bias_UK,
            factor_XE=factor_UE,
        )

    def modalities(self, items: Items, word_VD: Tensor) -> tuple[Tensor, Tensor]:
        """[U, M, D], [U, M]: the item's vectors, one a word field and one a vector table, and
        which of them it has."""
        bags = items.words
        mean_GD = functional.embedding_bag(bags.row_N, word_VD, bags.start_G, mode="mean")
        end_G = torch.cat([bags.start_G[1:], bags.start_G.new_tensor([len(bags.row_N)])])
        vectors = [mean_GD.view(len(items.key_U), -1, word_VD.shape[1])]
        masks = [(end_G > bags.start_G).view(len(items.key_U), -1)]
        if self._widths:
            vector_UMW, mask_UM = self._vectors(items)
            for place, (project, width) in enumerate(zip(self.project, self._widths, strict=True)):
                vectors.append(project(vector_UMW[:, place, :width])[:, None])
            masks.append(mask_UM)
        return torch.cat(vectors, 1), torch.cat(masks, 1)

    def candidate_side(self, items: ItemSide) -> CandidateSide:
        """The representations of these items as candidates."""
        vector_XD = items.vector_XD
        return CandidateSide(
            query_XD=self.query(vector_XD),
            content_XD=items.content_XD,
            part_XP=self.part(vector_XD),
            hidden_XH=self.first(vector_XD),
            bias_XK=items.bias_XK,
            factor_XE=items.factor_XE,
        )

    def cache(self, items: ItemSide) -> ItemCache:
        """Both sides of these items, to be kept."""
        side = self.candidate_side(items)
        parts = [getattr(side, field.name) for field in fields(side)]
        return ItemCache(items, torch.cat(parts, -1), tuple(part.shape[-1] for part in parts))

    def _vectors(self, items: Items) -> tuple[Tensor, Tensor]:
        """[U, M, W], [U, M]: the content vectors with zeros where there is none, and the mask."""
        if items.vector_UMW is None or items.mask_UM is None:
            weight, shape = self.content.weight, (len(items.key_U), len(self._widths))
            mask_UM = torch.zeros(shape, dtype=torch.bool, device=weight.device)
            return weight.new_zeros(*shape, max(self._widths)), mask_UM
        return torch.where(items.mask_UM[..., None], items.vector_UMW, 0), items.mask_UM

    def _direction(self, items: Items) -> Tensor:
        """[U, W]: where the content vectors of an item point on average."""
        return functional.normalize(self._vectors(items)[0], dim=-1).sum(1)


def _uniform(seed: int, like: Tensor) -> Tensor:
    """Numbers in [0, 1) that follow from the seed alone, in the shape of a tensor."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(like.shape, generator=random).to(like.device)
