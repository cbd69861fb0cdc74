"""The recipe for pictures: a residual network over small squares.

B pictures   C channels   H, W pixels   D width
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from headrace.encoders.picture import read_picture
from headrace.encoders.trained.recipe import Read, Recipe

SIZE: Final = 64  # pixels of both sides
WIDTHS: Final = (16, 32, 64, 128)  # a quarter of ResNet-18's
BLOCKS: Final = 2
DIM: Final = WIDTHS[-1]
MAX_MOVED: Final = 6  # pixels, in training
MEAN: Final[NDArray[np.float32]] = np.array(
    [0.485, 0.456, 0.406], dtype=np.float32
)  # of red, green, blue in ImageNet
DEVIATION: Final[NDArray[np.float32]] = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def read_normal(source: bytes | str | Path) -> Read:
    """[3, H, W]: a picture with mean 0 and variance 1, as ImageNet's are; raises `ValueError`."""
    shade_3HW = np.float32(0.5) * (read_picture(source, SIZE) + np.float32(1))
    normal_3HW: Read = (shade_3HW - MEAN[:, None, None]) / DEVIATION[:, None, None]
    return normal_3HW


class Block(nn.Module):
    """Two convolutions, added to their input, which is narrowed where they are."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        stride = 1 if channels == width else 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.short = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(channels, width, 1, 2, bias=False), nn.BatchNorm2d(width))
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return relu(self.layers(x_BCHW) + self.short(x_BCHW))


class ImageResNet(nn.Module):
    """A residual network of four stages, then the mean over the picture."""

    def __init__(self) -> None:
        super().__init__()
        first = WIDTHS[0]
        stem = nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False)
        blocks = [
            Block(channels if number == 0 else width, width)
            for channels, width in zip((first, *WIDTHS), WIDTHS, strict=False)
            for number in range(BLOCKS)
        ]
        self.layers = nn.Sequential(stem, nn.BatchNorm2d(first), nn.ReLU(), *blocks)

    def forward(self, picture_B3HW: Tensor) -> Tensor:
        """[B, D]"""
        vector_BD: Tensor = self.layers(picture_B3HW).mean(dim=(2, 3))
        return vector_BD


def crop_and_flip(picture_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures that are moved by some pixels, their edges repeated, half of them mirrored."""
    around = pad(picture_BCHW, [MAX_MOVED] * 4, mode="replicate")
    varied = torch.empty_like(picture_BCHW)
    height, width = picture_BCHW.shape[2:]
    drawn = torch.randint(2 * MAX_MOVED + 1, (len(varied), 2), generator=generator).tolist()
    mirrored = (torch.rand(len(varied), generator=generator) < 0.5).tolist()
    for row, (top, left) in enumerate(drawn):
        crop_CHW = around[row, :, top : top + height, left : left + width]
        varied[row] = crop_CHW.flip(-1) if mirrored[row] else crop_CHW
    return varied


IMAGE_RESNET: Final = Recipe(
    "image_resnet", "image", 1, DIM, read_normal, network=ImageResNet, augment=crop_and_flip
)
