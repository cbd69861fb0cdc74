"""Hashing of keys, all at once: into buckets, and into signs.

V keys   W signs of a key
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

NUM_SIGNS: Final = 64
MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
MIXERS: Final = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Ints = NDArray[np.int64]


def buckets(key_V: Ints, num: int) -> Ints:
    """[V]: the bucket of each key, of so many."""
    return (_mixed(key_V) % np.uint64(num)).astype(np.int64)


def signs(key_V: Ints) -> NDArray[np.float32]:
    """[V, W]: 1 or -1 by the bits of each key."""
    bytes_VX = _mixed(~key_V).view(np.uint8).reshape(-1, NUM_SIGNS // 8)
    return np.unpackbits(bytes_VX, axis=1).astype(np.float32) * 2 - 1


def _mixed(key_V: Ints) -> NDArray[np.uint64]:
    """[V]: the keys with their bits spread evenly (splitmix64)."""
    bits_V = key_V.view(np.uint64) * MULTIPLIER
    for shift, mixer in zip((30, 27), MIXERS, strict=True):
        bits_V = (bits_V ^ (bits_V >> np.uint64(shift))) * mixer
    mixed_V: NDArray[np.uint64] = bits_V ^ (bits_V >> np.uint64(31))
    return mixed_V
