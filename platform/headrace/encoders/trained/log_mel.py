"""The log-mel spectrogram of a sound, plain and with its noise gated; and how training varies it.

S samples   F frequencies   M mel bands   T frames   C channels: plain, gated   B sounds
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.encoders.trained.waveform import RATE_HZ

WINDOW: Final = 1_024  # samples
HOP: Final = 512
NUM_BANDS: Final = 64
LOWEST_HZ: Final = 40.0
RANGE_DB: Final = 80.0  # below the loudest, all is alike
FLOOR_QUANTILE: Final = 0.1  # of a band's power over time: its steady noise
GATE: Final = 4.0  # times the noise: half of it passes
TINY: Final = 1e-10

NUM_MASKS: Final = 2  # of each kind
MAX_MASKED_BANDS: Final = 10
MAX_MASKED_FRAMES: Final = 24


def log_mel(samples_S: NDArray[np.float32]) -> NDArray[np.float32]:
    """[C, M, T]: in [-1, 1] from RANGE_DB below the loudest up to it."""
    power_MT = mel_power(samples_S)
    return np.stack([_in_decibels(power_MT), _in_decibels(gated(power_MT))])


def mel_power(samples_S: NDArray[np.float32]) -> NDArray[np.float32]:
    """[M, T]: the power in each mel band and frame."""
    frames_TS = np.lib.stride_tricks.sliding_window_view(samples_S, WINDOW)[::HOP]
    spectrum_TF = np.fft.rfft(frames_TS * np.hanning(WINDOW).astype(np.float32))
    power_TF = (spectrum_TF.real**2 + spectrum_TF.imag**2).astype(np.float32)
    power_MT: NDArray[np.float32] = mel_filters() @ power_TF.T
    return power_MT


@cache
def mel_filters() -> NDArray[np.float32]:
    """[M, F]: triangles, evenly far apart in mel, each of area one."""
    top_hz = RATE_HZ / 2
    mel = np.linspace(_mel(LOWEST_HZ), _mel(top_hz), NUM_BANDS + 2)
    edges_hz = 700.0 * (10.0 ** (mel / 2_595.0) - 1.0)
    frequency_F = np.linspace(0.0, top_hz, WINDOW // 2 + 1)
    low, middle, high = (edges_hz[at : at + NUM_BANDS, None] for at in range(3))
    rising = (frequency_F - low) / (middle - low)
    falling = (high - frequency_F) / (high - middle)
    triangle_MF = np.clip(np.minimum(rising, falling), 0.0, None)
    area_M1 = np.maximum(triangle_MF.sum(axis=1, keepdims=True), TINY)
    filter_MF: NDArray[np.float32] = (triangle_MF / area_M1).astype(np.float32)
    return filter_MF


def gated(power_MT: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise reduction by a spectral gate: the steady part of each band is turned down softly."""
    floor_M1 = np.quantile(power_MT, FLOOR_QUANTILE, axis=1, keepdims=True).astype(np.float32)
    signal_MT = np.square(power_MT)
    noise_M1 = np.square(GATE * floor_M1)
    passed_MT: NDArray[np.float32] = signal_MT / (signal_MT + noise_M1 + TINY**2)
    return power_MT * passed_MT


def mask_and_shift(sound_BCMT: Tensor, generator: torch.Generator) -> Tensor:
    """Sounds that begin at another moment, with a few bands and a few frames masked (SpecAugment).

    A masked place is as loud as the sound is on average.
    """
    varied = sound_BCMT.clone()
    num_bands, num_frames = varied.shape[2:]

    def drawn(below: int) -> int:
        return int(torch.randint(max(below, 1), (1,), generator=generator))

    for row, mean in enumerate(sound_BCMT.mean(dim=(1, 2, 3)).tolist()):
        varied[row] = varied[row].roll(drawn(num_frames), dims=-1)
        for _ in range(NUM_MASKS):
            bands, frames = drawn(MAX_MASKED_BANDS + 1), drawn(MAX_MASKED_FRAMES + 1)
            band, frame = drawn(num_bands - bands + 1), drawn(num_frames - frames + 1)
            varied[row, :, band : band + bands] = mean
            varied[row, :, :, frame : frame + frames] = mean
    return varied


def _mel(frequency_hz: float) -> float:
    return float(2_595.0 * np.log10(1.0 + frequency_hz / 700.0))


def _in_decibels(power_MT: NDArray[np.float32]) -> NDArray[np.float32]:
    decibels = 10.0 * np.log10(np.maximum(power_MT, TINY))
    below = np.maximum(decibels - decibels.max(), -RANGE_DB)
    scaled_MT: NDArray[np.float32] = (1.0 + 2.0 * below / RANGE_DB).astype(np.float32)
    return scaled_MT
