"""Pictures (JPEG, PNG, WebP, GIF) as squares of one size; damaged and oversized ones say why.

H, W pixels
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")  # no others: some hand the file to other programs
MAX_PIXELS: Final = 50_000_000  # a file that unfolds to more is an attack or a mistake
MAX_DECODED_PIXELS: Final = 16_000_000  # a JPEG is decoded at a fraction of its size, others whole
SHADES_PER_STEP: Final = 257.0  # 65,535 / 255
TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(source: bytes | str | Path, size: int) -> NDArray[np.float32]:
    """[3, H, W]: the whole picture on a white square of `size` pixels, in [-1, 1].

    Raises `ValueError` for a file that is not there, and for what is not a picture or is damaged.
    """
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            square = upright_square(image, size)
    except FileNotFoundError:
        raise ValueError(f"there is no file {source!s}") from None
    except Exception as error:  # the readers of damaged files raise whatever comes
        reason = " ".join(str(error).split()).partition(" <_io")[0]
        raise ValueError(f"not a picture that can be read: {reason}") from None
    return np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1


def upright_square(image: Image.Image, size: int) -> Image.Image:
    """The picture on a white square. Its header alone decides whether it is decoded."""
    told = f"{image.width} x {image.height} pixels"
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{told}, at most {MAX_PIXELS:,} are read")
    image.draft("RGB", (2 * size, 2 * size))
    if image.width * image.height > MAX_DECODED_PIXELS:
        most = f"of a {image.format} at most {MAX_DECODED_PIXELS:,} are read, of a JPEG"
        raise ValueError(f"{told}, {most} {MAX_PIXELS:,}")
    plain = _on_white(_upright(_in_eight_bits(image)))
    return ImageOps.pad(plain, (size, size), Image.Resampling.BICUBIC, color="white")


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
