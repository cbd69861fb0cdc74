"""Sounds (WAV, FLAC, OGG) as samples of one rate and one length.

S samples
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
LENGTH_S: Final = 5.0
LENGTH: Final = int(RATE_HZ * LENGTH_S)
MAX_READ_S: Final = 30.0  # of a longer file only its beginning is decoded
MAX_RATE_HZ: Final = 384_000
MIN_RATE_HZ: Final = 1_000
MAX_CHANNELS: Final = 16
SHORTEST_S: Final = 0.01
SILENT: Final = 1e-4  # of full scale, -80 dB: what the edges of a recording are cut at
FORMATS: Final = ("WAV", "WAVEX", "RF64", "FLAC", "OGG")


def read_waveform(source: bytes | str | Path) -> NDArray[np.float32]:
    """[S]: five seconds of the sound, mono, its silent edges cut off and a short one repeated.

    Raises `ValueError` for a file that is not there, is no sound, is damaged, or is silent.
    """
    samples_S, rate_hz = _decoded(source)
    if not np.isfinite(samples_S).all():
        raise ValueError("the sound has samples that are no numbers")
    samples_S = resampled(samples_S, rate_hz)
    loud = np.flatnonzero(np.abs(samples_S) > SILENT)
    if not len(loud):
        raise ValueError(f"the first {MAX_READ_S:g} s of the sound are silent")
    sound_S = samples_S[loud[0] : loud[-1] + 1]
    if len(sound_S) < SHORTEST_S * RATE_HZ:
        raise ValueError(f"the sound lasts less than {SHORTEST_S * 1_000:g} ms")
    return np.resize(sound_S, LENGTH)  # repeats a shorter one


def resampled(samples_S: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """The sound at RATE_HZ: the spectrum is cut or filled up with zeros, so nothing folds over."""
    if rate_hz == RATE_HZ or not len(samples_S):
        return samples_S
    length = max(1, round(len(samples_S) * RATE_HZ / rate_hz))
    spectrum = np.fft.rfft(samples_S)[: length // 2 + 1]
    scale = length / len(samples_S)
    return (np.fft.irfft(spectrum, n=length) * scale).astype(np.float32)


def _decoded(source: bytes | str | Path) -> tuple[NDArray[np.float32], int]:
    """The beginning of the sound as the mean of its channels, and its rate."""
    try:
        with soundfile.SoundFile(
            io.BytesIO(source) if isinstance(source, bytes) else source
        ) as file:
            _check(file)
            frames = file.read(int(MAX_READ_S * file.samplerate), np.float32, always_2d=True)
            rate_hz = file.samplerate
    except ValueError:
        raise
    except Exception as error:  # the decoders of damaged files raise whatever comes
        if not isinstance(source, bytes) and not Path(source).is_file():
            raise ValueError(f"there is no file {source!s}") from None
        told = " ".join(str(error).split()).rpartition(": ")[2]
        raise ValueError(f"not a sound that can be read: {told}") from None
    return frames.mean(axis=1), rate_hz


def _check(file: soundfile.SoundFile) -> None:
    if file.format not in FORMATS:
        raise ValueError(f"a sound of format {file.format}, expected WAV, FLAC or OGG")
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        expected = f"{MIN_RATE_HZ:,} to {MAX_RATE_HZ:,}"
        raise ValueError(f"a sound of {file.samplerate:,} samples/s, expected {expected}")
    if file.channels > MAX_CHANNELS:
        raise ValueError(f"a sound of {file.channels} channels, expected at most {MAX_CHANNELS}")
