"""Similarity tiers: how the content of a candidate compares with that of the past events.

    B requests   N candidates   T past events   G groups of events   Q bins   X features

Cosines are counted in bins (SimTier, Sheng et al., 2024), with the greatest and the mean beside
the counts; apart for events with an action and events that were only shown. The content is not
trained through this, so nothing here has a gradient or a parameter.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

NUM_BINS: Final = 8
NUM_GROUPS: Final = 2
NUM_SIMILARITIES: Final = NUM_GROUPS * (NUM_BINS + 2)


@torch.no_grad()
def similarity_tiers(cosine_BNT: Tensor, mask_BT: Tensor, action_BT: Tensor) -> Tensor:
    """[B, N, X]: per group log(1 + count) of each bin, then the greatest and the mean cosine.

    Groups are the events with an action, then those without; zeros where a group is empty.
    """
    member_GBT = torch.stack([mask_BT & (action_BT != 0), mask_BT & (action_BT == 0)])
    count_GB1 = member_GBT.sum(-1, keepdim=True)
    bins_BNX = _bin_counts(cosine_BNT, mask_BT, action_BT == 0).log1p_()
    parts = [bins_BNX]
    for member_BT, count_B1 in zip(member_GBT, count_GB1, strict=True):
        total_BN1 = torch.bmm(cosine_BNT, member_BT[..., None].to(cosine_BNT.dtype))
        outside_B1T = torch.where(member_BT, 0.0, -2.0)[:, None].to(cosine_BNT.dtype)
        greatest_BN1 = (cosine_BNT + outside_B1T).amax(-1, keepdim=True)
        some_B11 = (count_B1 > 0)[:, None]
        parts += [greatest_BN1 * some_B11, total_BN1 / count_B1.clamp_min(1)[:, None]]
    return torch.cat(parts, -1)


def _bin_counts(cosine_BNT: Tensor, mask_BT: Tensor, second_BT: Tensor) -> Tensor:
    """[B, N, G x Q]: how many events of each group lie in each bin of [-1, 1]."""
    batch, num, _ = cosine_BNT.shape
    bin_BNT = ((cosine_BNT + 1) * (NUM_BINS / 2)).long().clamp_(0, NUM_BINS - 1)
    none = NUM_GROUPS * NUM_BINS  # the place where events that do not exist are counted
    offset_BT = torch.where(mask_BT, second_BT * NUM_BINS, none)
    place_BNT = (bin_BNT + offset_BT[:, None]).clamp_max_(none)
    counts = cosine_BNT.new_zeros(batch, num, none + 1)
    counts.scatter_add_(2, place_BNT, torch.ones_like(cosine_BNT))
    return counts[..., :none]
