"""Gated low-rank cross layers: products of features, and gates that say which of them count.

C candidates   X width   R rank
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class GatedCross(nn.Module):
    """x' = x + x0 * cross(x) * gate(x), with cross and gate of low rank; gates lie in [0, 1].

    (GDCN: Wang et al., 2023; low rank as in DCNv2: Wang et al., 2021.)
    """

    def __init__(self, width: int, rank: int, num_layers: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [nn.Linear(width, 2 * rank, bias=False) for _ in range(num_layers)]
        )
        self.cross = nn.ModuleList([nn.Linear(rank, width) for _ in range(num_layers)])
        self.gate = nn.ModuleList([nn.Linear(rank, width) for _ in range(num_layers)])

    def forward(self, first_CX: Tensor) -> Tensor:
        """[C, X]: the input with its products added."""
        x_CX = first_CX
        for down, cross, gate in zip(self.down, self.cross, self.gate, strict=True):
            cross_CR, gate_CR = down(x_CX).chunk(2, -1)
            gated_CX = cross(cross_CR) * functional.hardsigmoid(gate(gate_CR))
            x_CX = torch.addcmul(x_CX, first_CX, gated_CX)
        return x_CX
