"""Contents that tests make: sounds, texts and pictures of two or more kinds."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image, ImageDraw

RATE_HZ = 16_000


def samples(
    kind: int, seconds: float = 1.0, rate_hz: int = RATE_HZ, seed: int = 0
) -> NDArray[np.float32]:
    """A tone, noise, clicks or a falling tone."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(10 * seed + kind).normal(0, 0.2, len(time_s))
    tone_hz = 440 * (1 + 0.1 * seed)
    made = (
        np.sin(2 * np.pi * tone_hz * time_s),
        noise,
        (time_s % 0.25 < 0.01) * noise * 4,
        np.sin(2 * np.pi * (2_000 - 1_500 * time_s / seconds) * time_s),
    )
    return (0.5 * made[kind]).astype(np.float32)


def sound(made: NDArray[np.float32], rate_hz: int = RATE_HZ, form: str = "WAV") -> bytes:
    """A file of these samples."""
    file = io.BytesIO()
    soundfile.write(file, made, rate_hz, format=form)
    return file.getvalue()


def picture(kind: int, seed: int = 0, size: int = 60) -> bytes:
    """A disc or a square, in one of two colours, as a file."""
    image = Image.new("RGB", (size, size + 20), "white")
    draw = ImageDraw.Draw(image)
    box = (10 + seed, 12, size - 15 + seed, size - 10)
    colour = ("crimson", "navy")[kind % 2]
    (draw.ellipse if kind < 2 else draw.rectangle)(box, fill=colour)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
