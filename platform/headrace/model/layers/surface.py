"""The surface as an input: its number in, a part of the candidates' context and logits out.

Where a request is made says much of its outcome.

B requests   C candidates   S surfaces, 0 for those without a name   P width of a part   K logits
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace.model.config import RankerConfig
from headrace.model.layers.scale import RunningScale


class SurfaceInput(nn.Module):
    """One of S, brought to unit variance like any feature, so that rare surfaces learn as fast.

    (As an embedding instead, the clicks of KuaiRand had an AUC of .7488, as this .7511.) A surface
    that was never seen says nothing.
    """

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        self._num_surfaces = len(config.surfaces) + 1
        self.scale = RunningScale(self._num_surfaces)
        self.context = nn.Linear(self._num_surfaces, config.pair, bias=False)
        self.linear = nn.Linear(self._num_surfaces, config.num_logits, bias=False)
        nn.init.zeros_(self.context.weight)
        nn.init.zeros_(self.linear.weight)

    def forward(self, surface_B: Tensor) -> tuple[Tensor, Tensor]:
        """[B, P], [B, K]: its part of the candidates' context, and of their logits."""
        scaled_BS = self.scale(self._one_of(surface_B))
        return self.context(scaled_BS), self.linear(scaled_BS)

    def observe(self, surface_C: Tensor) -> None:
        """Take in the surfaces of a batch's candidates."""
        self.scale.observe(self._one_of(surface_C))

    def _one_of(self, surface_X: Tensor) -> Tensor:
        one_of_XS: Tensor = functional.one_hot(surface_X, self._num_surfaces)
        return one_of_XS.to(torch.float32)
