"""The running scale of the dense features.

C candidates   F features
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

RATE_MARGIN = 1e-3  # what rates are kept away from 0 and 1


class RunningScale(nn.Module):
    """Standardises features to zero mean and unit variance, by their running moments in training.

    The `rates` among them are read as log odds, in which what they say of a logit adds up.
    """

    def __init__(self, num_features: int, rates: Sequence[int] = ()) -> None:
        super().__init__()
        is_rate_F = torch.zeros(num_features, dtype=torch.bool)
        is_rate_F[list(rates)] = True
        self.register_buffer("is_rate_F", is_rate_F, persistent=False)
        self.is_rate_F: Tensor
        self.register_buffer("count", torch.tensor(1.0))
        self.register_buffer("mean_F", torch.zeros(num_features))
        self.register_buffer("second_F", torch.ones(num_features))
        self.count: Tensor
        self.mean_F: Tensor
        self.second_F: Tensor

    def forward(self, dense_CF: Tensor) -> Tensor:
        """[C, F]: the features in units of their deviation, 5 at most."""
        scale_F = (self.second_F / self.count).clamp_min(1e-4).rsqrt()
        return ((self._read(dense_CF) - self.mean_F) * scale_F).clamp(-5, 5)

    @property
    def usual_F(self) -> Tensor:
        """[F]: the features that come to zero."""
        return torch.where(self.is_rate_F, self.mean_F.sigmoid(), self.mean_F)

    @torch.no_grad()
    def observe(self, dense_CF: Tensor) -> None:
        """Take in a batch (Chan's parallel update of mean and second moment)."""
        rows, dense_CF = len(dense_CF), self._read(dense_CF)
        delta_F = dense_CF.mean(0) - self.mean_F
        total = self.count + rows
        self.second_F += dense_CF.var(0, correction=0) * rows
        self.second_F += delta_F.square() * self.count * rows / total
        self.mean_F += delta_F * rows / total
        self.count.copy_(total)

    def _read(self, dense_CF: Tensor) -> Tensor:
        return torch.where(self.is_rate_F, dense_CF.logit(RATE_MARGIN), dense_CF)
