"""EfficientNet-Lite0: pictures in, 1,280 features or the logits of ImageNet's classes out.

Each convolution has the batch normalisation that follows it folded into its weights.

B pictures   H, W pixels   C channels   D features   K classes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

SIZE: Final = 224  # pixels, of both sides, that the network was trained with
NUM_FEATURES: Final = 1_280
NUM_CLASSES: Final = 1_000
NORM_EPSILON: Final = 1e-3


class Stage(NamedTuple):
    """A row of blocks; the stride is that of the first one."""

    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS: Final = 32
STAGES: Final = (
    Stage(1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(1, kernel=3, stride=1, expansion=6, channels=320),
)

# Our convolution -> the published names of it and of its normalisation.
NAMES: Final = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
BLOCK_NAMES: Final = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


class Block(nn.Module):
    """Widen, filter each channel by itself, narrow; added to the input where the shape is kept."""

    def __init__(self, stage: Stage, channels: int, stride: int) -> None:
        super().__init__()
        wide = channels * stage.expansion
        self.expand = nn.Conv2d(channels, wide, 1) if stage.expansion > 1 else None
        self.depthwise = nn.Conv2d(wide, wide, stage.kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, stage.channels, 1)
        self._adds = stride == 1 and channels == stage.channels

    def forward(self, x_BCHW: Tensor) -> Tensor:
        wide_BCHW = x_BCHW if self.expand is None else relu6(self.expand(x_BCHW))
        filtered_BCHW = relu6(self.depthwise(_padded(wide_BCHW, self.depthwise)))
        narrow_BCHW: Tensor = self.project(filtered_BCHW)
        return x_BCHW + narrow_BCHW if self._adds else narrow_BCHW


class EfficientNetLite0(nn.Module):
    """Pictures of SIZE x SIZE with values in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_CHANNELS, 3, stride=2)
        blocks, channels = [], STEM_CHANNELS
        for stage in STAGES:
            for number in range(stage.num_blocks):
                blocks.append(Block(stage, channels, 1 if number else stage.stride))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(channels, NUM_FEATURES, 1)
        self.classes = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def features(self, picture_B3HW: Tensor) -> Tensor:
        """[B, D]: the pooled features of the pictures, before the classifier."""
        x_BCHW = relu6(self.stem(_padded(picture_B3HW, self.stem)))
        return relu6(self.head(self.blocks(x_BCHW))).mean(dim=(2, 3))

    def forward(self, picture_B3HW: Tensor) -> Tensor:
        """[B, K]: the logits of ImageNet's classes."""
        logit_BK: Tensor = self.classes(self.features(picture_B3HW))
        return logit_BK


def load_state(network: EfficientNetLite0, published: Mapping[str, Tensor]) -> None:
    """Puts the published weights into the network and sets it to use."""
    state = {
        "classes.weight": published["_fc.weight"],
        "classes.bias": published["_fc.bias"],
    }
    for ours, (convolution, norm) in NAMES.items():
        state |= _folded(published, ours, convolution, norm)
    for number, block in enumerate(network.blocks):
        for ours, (convolution, norm) in BLOCK_NAMES.items():
            if getattr(block, ours) is not None:
                prefix = f"_blocks.{number}."
                name = f"blocks.{number}.{ours}"
                state |= _folded(published, name, prefix + convolution, prefix + norm)
    network.load_state_dict(state)
    network.eval().requires_grad_(False)


def _folded(
    published: Mapping[str, Tensor], ours: str, convolution: str, norm: str
) -> dict[str, Tensor]:
    variance, mean = published[f"{norm}.running_var"], published[f"{norm}.running_mean"]
    scale = published[f"{norm}.weight"] / torch.sqrt(variance + NORM_EPSILON)
    return {
        f"{ours}.weight": published[f"{convolution}.weight"] * scale[:, None, None, None],
        f"{ours}.bias": published[f"{norm}.bias"] - mean * scale,
    }


def _padded(x_BCHW: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Zeros around, as TensorFlow adds them: a stride divides the sides, an odd zero goes last."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    edges: list[int] = []
    for side in (x_BCHW.shape[3], x_BCHW.shape[2]):
        missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        edges += [missing // 2, missing - missing // 2]
    return pad(x_BCHW, edges)
