"""Streaming calibration: from logits to probabilities that match observed rates.

C candidates   S surfaces   J scalar heads   K logits, those of the scalar heads first
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.model.config import RankerConfig

MIN_LABELS = 1_000  # of a surface and head, before its own scale is used
MIN_SLOPE, MAX_SLOPE = 0.1, 10.0  # a rank must never turn over
LARGEST = np.float32(80)  # logit: a greater one is as sure
STEP = 256  # candidates from one step to the next, however small the batches that they come in


class PlattBank:
    """p = sigmoid(slope * logit + offset), a pair per surface and head, fitted online.

    Adagrad on the log loss, in one pass, so the learning rate decays with the gradients seen
    (Platt, 1999); gradients gather until there are enough candidates for a step, so that the sizes
    of batches do not matter. It learns from logits made before the ranker trained on their samples,
    as serving sees them. Row 0 learns from all surfaces, and speaks for those with few labels.
    """

    def __init__(
        self, num_surfaces: int = 1, num_heads: int = 1, learning_rate: float = 0.02
    ) -> None:
        self._learning_rate = learning_rate
        self.weight_SJ2 = torch.tensor([1.0, 0.0]).repeat(num_surfaces, num_heads, 1)
        self._accumulator_SJ2 = torch.full((num_surfaces, num_heads, 2), 1e-2)
        self._count_SJ = torch.zeros(num_surfaces, num_heads)
        self._drawn_SJ = torch.zeros(num_surfaces, num_heads)  # requests that told only what came
        # Since the last step: candidates, and sums of their gradients and known labels.
        self._num_gathered = 0
        self._gathered_SJ2 = torch.zeros_like(self.weight_SJ2)
        self._gathered_count_SJ = torch.zeros_like(self._count_SJ)

    def __call__(self, logit_CK: Tensor, surface_C: Tensor) -> Tensor:
        """[C, J]: probabilities of the first J logits on these surfaces."""
        logit_CJ = logit_CK[:, : self.weight_SJ2.shape[1]]
        enough_SJ1 = (self._count_SJ >= MIN_LABELS)[..., None]
        spoken_SJ2 = torch.where(enough_SJ1, self.weight_SJ2, self.weight_SJ2[0])
        return self._sigmoid(logit_CJ, spoken_SJ2[surface_C])

    def of_request(self, logit_CK: NDArray[np.float32], surface: int) -> NDArray[np.float32]:
        """[C, J]: the same for the candidates of one request."""
        weight_SJ2, count_SJ = self.weight_SJ2.numpy(), self._count_SJ.numpy()
        enough_J1 = (count_SJ[surface] >= MIN_LABELS)[:, None]
        slope_J, offset_J = np.where(enough_J1, weight_SJ2[surface], weight_SJ2[0]).T
        logit_CJ = slope_J * logit_CK[:, : len(slope_J)] + offset_J
        p_CJ: NDArray[np.float32] = 1 / (1 + np.exp(-logit_CJ.clip(-LARGEST, LARGEST)))
        return p_CJ

    def learn(self, logit_CJ: Tensor, label_CJ: Tensor, surface_C: Tensor) -> None:
        """Take in logits and their labels; a label that is NaN is unknown."""
        self._gather(logit_CJ, label_CJ, torch.zeros_like(surface_C))
        if len(self.weight_SJ2) > 1:
            own_C1 = (surface_C != 0)[:, None]
            self._gather(logit_CJ, label_CJ.masked_fill(~own_C1, torch.nan), surface_C)
        self._num_gathered += len(surface_C)
        if self._num_gathered >= STEP:
            self._step()

    def count_drawn(self, known_QJ: Tensor, surface_Q: Tensor) -> None:
        """Note requests that were drawn on these surfaces, and which heads learned of them."""
        self._drawn_SJ[0] += known_QJ.sum(0)
        own_Q = surface_Q != 0
        self._drawn_SJ.index_add_(0, surface_Q[own_Q], known_QJ[own_Q].float())

    @property
    def is_relative_SJ(self) -> Tensor:
        """Whether a head's probabilities on a surface only order items: what it learned there was
        drawn, and too few impressions say how often its action comes."""
        few_SJ = self._count_SJ < MIN_LABELS
        relative_SJ: Tensor = few_SJ & (self._drawn_SJ > 0)
        return relative_SJ | (few_SJ & relative_SJ[0])

    def _gather(self, logit_CJ: Tensor, label_CJ: Tensor, surface_C: Tensor) -> None:
        known_CJ = ~label_CJ.isnan()
        p_CJ = self._sigmoid(logit_CJ, self.weight_SJ2[surface_C])
        error_CJ = torch.where(known_CJ, p_CJ - label_CJ, 0)
        gradient_CJ2 = torch.stack([error_CJ * logit_CJ, error_CJ], -1)
        self._gathered_count_SJ.index_add_(0, surface_C, known_CJ.float())
        self._gathered_SJ2.index_add_(0, surface_C, gradient_CJ2)
        self._count_SJ.index_add_(0, surface_C, known_CJ.float())

    def _step(self) -> None:
        mean_SJ2 = self._gathered_SJ2 / self._gathered_count_SJ.clamp_min(1)[..., None]
        self._accumulator_SJ2 += mean_SJ2.square()
        self.weight_SJ2 -= self._learning_rate * mean_SJ2 / self._accumulator_SJ2.sqrt()
        self.weight_SJ2[..., 0].clamp_(MIN_SLOPE, MAX_SLOPE)
        self._num_gathered = 0
        self._gathered_SJ2.zero_()
        self._gathered_count_SJ.zero_()

    @staticmethod
    def _sigmoid(logit_CJ: Tensor, weight_CJ2: Tensor) -> Tensor:
        return torch.sigmoid(weight_CJ2[..., 0] * logit_CJ + weight_CJ2[..., 1])

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        return {
            "weight": self.weight_SJ2.clone(),
            "accumulator": self._accumulator_SJ2.clone(),
            "count": self._count_SJ.clone(),
            "drawn": self._drawn_SJ.clone(),
            "num_gathered": self._num_gathered,
            "gathered": self._gathered_SJ2.clone(),
            "gathered_count": self._gathered_count_SJ.clone(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the bank that `state` described."""
        self.weight_SJ2 = state["weight"].clone()
        self._accumulator_SJ2 = state["accumulator"].clone()
        self._count_SJ = state["count"].clone()
        if "drawn" in state:  # calibrations from before anything was drawn lack it
            self._drawn_SJ = state["drawn"].clone()
        self._num_gathered = state["num_gathered"]
        self._gathered_SJ2 = state["gathered"].clone()
        self._gathered_count_SJ = state["gathered_count"].clone()


def make_calibration(config: RankerConfig) -> PlattBank:
    """A fresh bank for the surfaces and scalar heads of a configuration."""
    return PlattBank(len(config.surfaces) + 1, len(config.scalar_heads))


def per_impression(p_XJ: NDArray[np.float32], after_click: Sequence[bool]) -> NDArray[np.float32]:
    """[X, J]: probabilities of an impression, from those of heads, some of which are given a click.

    The click is the first of them.
    """
    return np.where(after_click, p_XJ * p_XJ[..., :1], p_XJ)
