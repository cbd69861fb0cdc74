"""The recipes for sounds: log-mel spectrograms through a convolutional or a dense network.

B sounds   C channels   M mel bands   T frames   D width
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from headrace.encoders.trained.log_mel import NUM_BANDS, log_mel, mask_and_shift
from headrace.encoders.trained.recipe import Read, Recipe
from headrace.encoders.trained.waveform import read_waveform

NUM_CHANNELS: Final = 2  # plain and gated
WIDTHS: Final = (16, 32, 64, 128)
DENSE_HIDDEN: Final = 256
DIM: Final = 128
DROPOUT: Final = 0.2


def read_sound(source: bytes | str | Path) -> Read:
    """[C, M, T]: the log-mel spectrogram of a sound; raises `ValueError` where it has none."""
    return log_mel(read_waveform(source))


class BandNorm(nn.Module):
    """Each band of each channel with mean 0 and variance 1, as they were in training."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(NUM_CHANNELS * NUM_BANDS)

    def forward(self, sound_BCMT: Tensor) -> Tensor:
        normal: Tensor = self.norm(sound_BCMT.flatten(1, 2)).view_as(sound_BCMT)
        return normal


class AudioCnn(nn.Module):
    """Convolutions that halve bands and frames, then mean and maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = BandNorm()
        layers: list[nn.Module] = []
        channels = NUM_CHANNELS
        for number, width in enumerate(WIDTHS):
            layers += [
                nn.Conv2d(channels, width, 3, stride=1 if number else 2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            layers += [nn.MaxPool2d(2)] if number else []
            channels = width
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(DROPOUT)
        self.narrow = nn.Linear(2 * channels, DIM)

    def forward(self, sound_BCMT: Tensor) -> Tensor:
        """[B, D]"""
        x_BCT = self.layers(self.bands(sound_BCMT)).mean(dim=2)
        pooled = torch.cat([x_BCT.mean(dim=2), x_BCT.amax(dim=2)], dim=1)
        vector_BD: Tensor = self.narrow(self.dropout(pooled))
        return vector_BD


class AudioDnn(nn.Module):
    """Dense layers over each band's mean, deviation, extremes and change from frame to frame."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5 * NUM_CHANNELS * NUM_BANDS)
        self.layers = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(5 * NUM_CHANNELS * NUM_BANDS, DENSE_HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(DENSE_HIDDEN, DIM),
        )

    def forward(self, sound_BCMT: Tensor) -> Tensor:
        """[B, D]"""
        x_BMT = sound_BCMT.flatten(1, 2)
        change_BM = x_BMT.diff(dim=2).abs().mean(dim=2)
        ends = x_BMT.amax(dim=2), x_BMT.amin(dim=2)
        pooled = torch.cat([x_BMT.mean(dim=2), x_BMT.std(dim=2), *ends, change_BM], dim=1)
        vector_BD: Tensor = self.layers(self.norm(pooled))
        return vector_BD


AUDIO_CNN: Final = Recipe(
    "audio_cnn", "audio", 1, DIM, read_sound, network=AudioCnn, augment=mask_and_shift
)
AUDIO_DNN: Final = Recipe(
    "audio_dnn", "audio", 1, DIM, read_sound, network=AudioDnn, augment=mask_and_shift
)
