"""Training of an encoder by labels: batches of values in, a network with a classifier on it out.

B values   D width   K classes
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, relu

from headrace.encoders.trained.recipe import Recipe

WEIGHT_DECAY: Final = 1e-2
WARM_UP: Final = 0.15  # of the steps


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How long and how an encoder is trained."""

    num_epochs: int = 40
    batch: int = 32
    learning_rate: float = 3e-3
    mixup: float = 0.3  # both parameters of the Beta distribution of shares; 0: values stay apart
    smoothing: float = 0.1  # of the labels
    augments: bool = True
    seed: int = 0


class Classifier(nn.Module):
    """The encoder's network, and a linear layer from its vectors to logits."""

    def __init__(self, recipe: Recipe, num_classes: int) -> None:
        super().__init__()
        self.network = recipe.network()
        self.classes = nn.Linear(recipe.dim, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, K]"""
        logit_BK: Tensor = self.classes(relu(self.network(inputs)))
        return logit_BK


class EncoderFit:
    """Trains a classifier of `num_classes`, an epoch at a time; its state goes on where it was."""

    def __init__(
        self,
        recipe: Recipe,
        num_classes: int,
        num_values: int,
        fit: FitConfig,
        device: str = "cpu",
    ) -> None:
        self._recipe, self._fit, self._num_classes = recipe, fit, num_classes
        self._device = device
        self.after_backward: Callable[[nn.Module], None] = _nothing  # before the optimizer's step
        with torch.random.fork_rng():
            torch.manual_seed(fit.seed)
            self.model = Classifier(recipe, num_classes).to(device)
        self._optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=WEIGHT_DECAY)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            fit.learning_rate,
            total_steps=fit.num_epochs * -(-num_values // fit.batch),
            pct_start=WARM_UP,
        )
        self.num_epochs_done = 0

    def epoch(self, inputs: Tensor, label_N: Tensor) -> float:
        """Trains on all values once, in an order of their own, and returns the mean loss."""
        generator = torch.Generator().manual_seed(1_000 * self._fit.seed + self.num_epochs_done)
        order_N = torch.randperm(len(label_N), generator=generator)
        with torch.random.fork_rng():  # dropout, which takes no generator
            torch.manual_seed(self._fit.seed + self.num_epochs_done)
            self.model.train()
            losses = [
                self._step(inputs[rows], label_N[rows], generator)
                for rows in torch.split(order_N, self._fit.batch)
            ]
        self.num_epochs_done += 1
        return float(np.mean(losses))

    def state(self) -> dict[str, Any]:
        """All that training goes on from."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "num_epochs_done": self.num_epochs_done,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a state of the same recipe and configuration."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.num_epochs_done = state["num_epochs_done"]

    def _step(self, inputs: Tensor, label_B: Tensor, generator: torch.Generator) -> float:
        fit = self._fit
        target_BK = one_hot(label_B, self._num_classes).float()
        if fit.augments:
            inputs = self._recipe.augment(inputs, generator)
        if fit.mixup and inputs.is_floating_point():
            inputs, target_BK = _mixed(inputs, target_BK, fit.mixup, generator)
        inputs, target_BK = inputs.to(self._device), target_BK.to(self._device)
        loss = cross_entropy(self.model(inputs), target_BK, label_smoothing=fit.smoothing)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.after_backward(self.model)
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())


@torch.inference_mode()
def probabilities(model: nn.Module, inputs: Tensor, batch: int = 64) -> Tensor:
    """[N, K]: the probability of each class."""
    model.eval()
    return torch.cat([model(part).softmax(dim=1) for part in torch.split(inputs, batch)])


def _nothing(_: nn.Module) -> None:
    """One worker has nobody to share its gradients with."""


def _mixed(
    inputs: Tensor, target_BK: Tensor, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup: each value with a share of another one, and its target likewise."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    drawn_B = np.random.default_rng(seed).beta(alpha, alpha, len(inputs))
    share_B = torch.from_numpy(drawn_B).to(inputs.dtype)
    other_B = torch.randperm(len(inputs), generator=generator)
    share = share_B.view(-1, *[1] * (inputs.dim() - 1))
    mixed = share * inputs + (1 - share) * inputs[other_B]
    return mixed, share_B[:, None] * target_BK + (1 - share_B[:, None]) * target_BK[other_B]
