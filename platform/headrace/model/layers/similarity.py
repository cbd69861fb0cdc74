"""Similarity tiers: how the content of a candidate compares with that of the past events.

    B requests   N candidates   T past events   G groups of events   Q bins   X features

Cosines are counted in bins (SimTier: Sheng et al., 2024), with the greatest and the mean beside
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
_HALF: Final = NUM_BINS / 2
REACH: Final = _HALF * (1 - 1e-5)  # so that a cosine that rounds to above 1 has a bin


@torch.no_grad()
def similarity_tiers(cosine_BNT: Tensor, mask_BT: Tensor, wish_BT: Tensor) -> Tensor:
    """[B, N, X]: per group log(1 + count) of each bin, then the mean and the greatest cosine.

    Groups are the events with a wish, then those without; zeros where a group is empty.
    """
    member_BTG = torch.stack([mask_BT & (wish_BT != 0), mask_BT & (wish_BT == 0)], -1)
    some_B1G = member_BTG.any(1, keepdim=True)
    share_BTG = member_BTG / member_BTG.sum(1, keepdim=True).clamp_min(1)
    outside_BTG = torch.where(member_BTG, 0.0, -4.0)
    greatest = [
        (cosine_BNT + outside_BTG[:, None, :, group]).amax(-1) for group in range(NUM_GROUPS)
    ]
    mean_BNG = cosine_BNT @ share_BTG.to(cosine_BNT.dtype)
    greatest_BNG = torch.stack(greatest, -1) * some_B1G
    return torch.cat([_bin_counts(cosine_BNT, member_BTG).log1p_(), mean_BNG, greatest_BNG], -1)


def _bin_counts(cosine_BNT: Tensor, member_BTG: Tensor) -> Tensor:
    """[B, N, G x Q]: how many events of each group lie in each bin of [-1, 1]."""
    nowhere = NUM_GROUPS * NUM_BINS  # where events that do not exist are counted, and left out
    first_BT = torch.where(member_BTG[..., 0], 0.0, float(nowhere))
    first_BT = torch.where(member_BTG[..., 1], float(NUM_BINS), first_BT) + _HALF
    place_BNT = torch.add(first_BT[:, None], cosine_BNT, alpha=REACH).long()
    shape = (*cosine_BNT.shape[:2], nowhere + NUM_BINS)
    counts_BNX = torch.zeros(shape, device=cosine_BNT.device)
    counts_BNX.scatter_add_(2, place_BNT, torch.ones_like(cosine_BNT, dtype=counts_BNX.dtype))
    return counts_BNX[..., :nowhere]
