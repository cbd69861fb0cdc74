"""A trained encoder: a recipe with the weights that it was given."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import normalize

from headrace.catalogue.content import Value
from headrace.encoders.encoder import Encoded, encode_readable
from headrace.encoders.trained.recipe import Read, Recipe

BATCH: Final = 32


class TrainedEncoder:
    """Values of the recipe's modality as vectors of length one."""

    def __init__(self, recipe: Recipe, network: nn.Module, device: str = "cpu") -> None:
        self.name, self.modality, self.dim = recipe.name, recipe.modality, recipe.dim
        self.version = f"{recipe.version}-{weights_hash(network)}"
        self._read = recipe.read
        self._network = network.to(device).eval()
        self._device = device

    def encode(self, values: Sequence[Value]) -> Encoded:
        """[N, `dim`]: the vectors of these values."""
        return encode_readable(values, self.dim, self._read, self._embed)

    @torch.inference_mode()
    def _embed(self, read: list[Read]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(read), BATCH):
            inputs = torch.from_numpy(np.stack(read[start : start + BATCH])).to(self._device)
            parts.append(normalize(self._network(inputs), dim=1).cpu().numpy())
        return np.concatenate(parts)


def weights_hash(network: nn.Module) -> str:
    """The first eight digits of the weights' SHA-256, which tells versions apart."""
    digest = sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]
