"""A recipe: all that an encoder is before it has weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headrace.catalogue.content import Modality

Read = NDArray[np.float32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """An encoder of one modality to be trained.

    `read` takes a value and gives an array of one shape for all values, or raises `ValueError`.
    `network` is made anew at each call: arrays of B values in, [B, `dim`] out. `augment` varies
    such arrays in training. `version` is raised when any of these changes its meaning.
    """

    name: str
    modality: Modality
    version: int
    dim: int
    read: Callable[[Any], Read]
    network: Callable[[], nn.Module]
    augment: Callable[[Tensor, torch.Generator], Tensor]
