"""The running scale of the dense features.

C candidates   F features
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningScale(nn.Module):
    """Brings features to zero mean and unit variance, by the moments of what it has trained on."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(1.0))
        self.register_buffer("mean_F", torch.zeros(num_features))
        self.register_buffer("second_F", torch.ones(num_features))
        self.count: Tensor
        self.mean_F: Tensor
        self.second_F: Tensor

    def forward(self, dense_CF: Tensor) -> Tensor:
        scale_F = (self.second_F / self.count).clamp_min(1e-4).rsqrt()
        return ((dense_CF - self.mean_F) * scale_F).clamp(-5, 5)

    @torch.no_grad()
    def observe(self, dense_CF: Tensor) -> None:
        """Take in a batch (Chan's parallel update of mean and second moment)."""
        rows = len(dense_CF)
        delta_F = dense_CF.mean(0) - self.mean_F
        total = self.count + rows
        self.second_F += dense_CF.var(0, correction=0) * rows
        self.second_F += delta_F.square() * self.count * rows / total
        self.mean_F += delta_F * rows / total
        self.count.copy_(total)
