"""Affine maps in numpy.

X inputs   Y outputs   N values
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Affine:
    """The map `x @ weight + bias`."""

    weight_XY: Floats
    bias_Y: Floats

    @classmethod
    def of(cls, layer: nn.Module) -> Affine:
        """That of a trained linear layer."""
        assert isinstance(layer, nn.Linear)
        weight_XY = array(layer.weight.T)
        return cls(weight_XY, array(layer.bias) if layer.bias is not None else zeros(weight_XY))

    @classmethod
    def linear(cls, weight_XY: Floats) -> Affine:
        """That of a matrix, without a bias."""
        return cls(weight_XY, zeros(weight_XY))

    def padded(self, num_inputs: int) -> Affine:
        """The same of more inputs, of which the last are not read."""
        more = num_inputs - len(self.weight_XY)
        return Affine(np.pad(self.weight_XY, [(0, more), (0, 0)]), self.bias_Y)

    def __call__(self, value_NX: Floats) -> Floats:
        """[N, Y]."""
        value_NY: Floats = value_NX @ self.weight_XY
        value_NY += self.bias_Y
        return value_NY


def beside(*maps: Affine) -> Affine:
    """Several maps of one input as one, their outputs side by side."""
    weight_XY = np.concatenate([one.weight_XY for one in maps], axis=1)
    return Affine(weight_XY, np.concatenate([one.bias_Y for one in maps]))


def array(tensor: Tensor) -> Floats:
    """A copy of a tensor, row by row in memory."""
    return np.array(tensor.detach().float().cpu().numpy(), np.float32, order="C")


def zeros(weight_XY: Floats) -> Floats:
    """[Y]: no bias."""
    return np.zeros(weight_XY.shape[1], np.float32)


def widths(*maps: Affine) -> list[slice]:
    """Where the outputs of each map lie when they are side by side."""
    ends = np.cumsum([one.weight_XY.shape[1] for one in maps]).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def softmax(logit_XN: Floats) -> Floats:
    """[X, N]: in place, the softmax over the first dimension, along which numpy adds fastest."""
    logit_XN -= np.maximum.reduce(logit_XN, 0)
    np.exp(logit_XN, out=logit_XN)
    logit_XN /= np.add.reduce(logit_XN, 0)
    return logit_XN
