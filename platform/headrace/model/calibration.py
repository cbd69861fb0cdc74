"""Streaming calibration: from logits to probabilities that match observed rates."""

from __future__ import annotations

import torch
from torch import Tensor


class PlattScale:
    """p = sigmoid(slope * logit + offset), both fitted online by Adagrad on the log loss.

    It learns from logits made before the ranker trained on their samples, as serving sees them.
    (Platt, 1999; one pass, so the learning rate decays with the gradients seen.)
    """

    def __init__(self, learning_rate: float = 0.02) -> None:
        self._learning_rate = learning_rate
        self.weight_2 = torch.tensor([1.0, 0.0])  # slope, offset
        self._accumulator_2 = torch.full((2,), 1e-2)

    def __call__(self, logit_N: Tensor) -> Tensor:
        """[N]: probabilities of these logits."""
        return torch.sigmoid(self.weight_2[0] * logit_N + self.weight_2[1])

    def learn(self, logit_N: Tensor, label_N: Tensor) -> None:
        """Take in logits and what happened."""
        error_N = self(logit_N) - label_N
        gradient_2 = torch.stack([(error_N * logit_N).mean(), error_N.mean()])
        self._accumulator_2 += gradient_2.square()
        self.weight_2 -= self._learning_rate * gradient_2 / self._accumulator_2.sqrt()
        self.weight_2[0].clamp_(0.1, 10.0)  # a rank must never turn over

    def state(self) -> dict[str, Tensor]:
        return {"weight": self.weight_2.clone(), "accumulator": self._accumulator_2.clone()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.weight_2 = state["weight"].clone()
        self._accumulator_2 = state["accumulator"].clone()
