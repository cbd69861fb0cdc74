"""A tokenizer for English and Chinese: a text in, its segments as hashed numbers out.

English is cut into words. Chinese has no spaces: each character and each pair of neighbours is a
segment, so that no dictionary is needed and a word of two characters is one of them.

L places
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from headrace.encoders.encoder import read_text

LENGTH: Final = 32  # places; what comes after them is not read
PADDING: Final = 0
UNKNOWN: Final = 1
NUM_BUCKETS: Final = 1 << 13
MAX_READ: Final = 10_000  # characters of a text
HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
PIECE: Final = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+(?:['’][^\W_{HAN}]+)?")
STOP_WORDS: Final = frozenset(
    "a an and are as at be by for from has have he her his i in is it its my of on or our she so "
    "that the their them they this to was we were which will with you your "
    "的 了 和 是 在 有 与 及 或 也 就 都 而 你 我 他 她 它 们 这 那 个 上 下 中 为 之".split()
)


def segments(text: str) -> list[str]:
    """The words and the Chinese characters and pairs of a text, without stop words.

    A text of nothing but stop words keeps them: it says little, and more than nothing.
    """
    normal = unicodedata.normalize("NFKC", text[:MAX_READ]).lower()
    found = [part for piece in PIECE.findall(normal) for part in _parts(piece)]
    return [part for part in found if part not in STOP_WORDS] or found


def read_segments(text: str) -> NDArray[np.int64]:
    """[L]: the hashed segments of a text, then padding; raises `ValueError` where it has none."""
    hashed = [bucket(segment) for segment in segments(read_text(text))[:LENGTH]]
    if not hashed:
        raise ValueError("expected a text, got one without words")
    place_L = np.full(LENGTH, PADDING, dtype=np.int64)
    place_L[: len(hashed)] = hashed
    return place_L


def bucket(segment: str) -> int:
    """The number of a segment: the same in every process, and none of the reserved ones."""
    return UNKNOWN + 1 + crc32(segment.encode()) % (NUM_BUCKETS - UNKNOWN - 1)


def _parts(piece: str) -> list[str]:
    if not re.match(rf"[{HAN}]", piece):
        return [piece]
    return [*piece, *(piece[at : at + 2] for at in range(len(piece) - 1))]
