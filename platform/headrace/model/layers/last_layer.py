"""The last layer: a linear function of all that the network computes of a candidate.

It is added to the network's logits. Its weights are not trained by gradients but solved
(`headrace.learning.last_layer_fit`), so that one pass over the samples is enough for them. Beside
the network's own layers it reads random functions of its features, each of a few, which say how
features act together before the network has learned it (random features: Rahimi and Recht, 2007;
of few inputs each: Hashemi et al., 2023).

    C candidates   F features   K logits   N random functions   X features of one of them
    R numbers that are read
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

NUM_RANDOM: Final = 256
NUM_MIXED: Final = 4  # features in each random function
THRESHOLD: Final = 0.7  # standard deviation; features have about 1


class LastLayer(nn.Module):
    """Its weights begin at zero, and it passes no gradient on."""

    def __init__(self, num_features: int, widths: Sequence[int], num_logits: int) -> None:
        super().__init__()
        self.group_sizes = (1, num_features, *widths, NUM_RANDOM)
        num_mixed = min(NUM_MIXED, num_features)
        mixed_NX = torch.rand(NUM_RANDOM, num_features).topk(num_mixed, sorted=False).indices
        share_NX = torch.randn(NUM_RANDOM, num_mixed) * num_mixed**-0.5
        mix_NF = torch.zeros(NUM_RANDOM, num_features).scatter_(1, mixed_NX, share_NX)
        self.register_buffer("mix_FN", mix_NF.T.contiguous())
        self.register_buffer("threshold_N", THRESHOLD * torch.randn(NUM_RANDOM))
        self.register_buffer("weight_RK", torch.zeros(sum(self.group_sizes), num_logits))
        self.mix_FN: Tensor
        self.threshold_N: Tensor
        self.weight_RK: Tensor

    @torch.no_grad()
    def read(self, dense_CF: Tensor, *layers: Tensor) -> Tensor:
        """[C, R]: its inputs: 1, the features, layers of configured widths, random functions."""
        random_CN = torch.addmm(self.threshold_N, dense_CF, self.mix_FN).relu()
        constant_C1 = torch.ones_like(dense_CF[:, :1])
        return torch.cat([constant_C1, dense_CF, *layers, random_CN], -1).float()

    @torch.no_grad()
    def forward(self, read_CR: Tensor) -> Tensor:
        """[C, K]: logits to add to the network's, in single precision whatever the network's."""
        with torch.autocast(read_CR.device.type, enabled=False):
            return torch.mm(read_CR, self.weight_RK)
