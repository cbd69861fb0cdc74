"""Adagrad (Duchi et al., 2011) for dense weights: gradients in, changed weights out.

`torch.optim.Adagrad` makes the same steps by the same kernel, but its class imports the compiler of
torch, of which nothing is used here: a second of each start of a trainer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad


class Adagrad:
    """The sums of squared gradients of some weights."""

    def __init__(self, weights: Iterable[Tensor], learning_rate: float) -> None:
        self._weights, self._learning_rate = list(weights), learning_rate
        self._sums = [torch.zeros_like(weight) for weight in self._weights]
        self._steps = [torch.zeros((), device=weight.device) for weight in self._weights]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights that have gradients."""
        having = [place for place, one in enumerate(self._weights) if one.grad is not None]
        gradients = [grad for one in self._weights if (grad := one.grad) is not None]
        adagrad(
            [self._weights[place] for place in having],
            gradients,
            [self._sums[place] for place in having],
            [self._steps[place] for place in having],
            fused=True,
            lr=self._learning_rate,
            weight_decay=0.0,
            lr_decay=0.0,
            eps=1e-10,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """The sums and the numbers of steps, as `torch.optim` has them."""
        both = zip(self._steps, self._sums, strict=True)
        return {
            "state": {place: {"step": step, "sum": sum_} for place, (step, sum_) in enumerate(both)}
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the one that `state` described."""
        for place, one in state["state"].items():
            self._steps[place].copy_(one["step"])
            self._sums[place].copy_(one["sum"])
