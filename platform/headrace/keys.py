"""Keys: text identifiers as 64-bit integers, the form in which states and tables hold them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

NUM_SURFACE_CODES: Final = 256
NUM_CATEGORY_SLOTS: Final = 32


@lru_cache(maxsize=1 << 12)  # what is kept of ids that anybody may make up keeps memory scattered
def key(text: str) -> int:
    """A stable positive 63-bit key; two of ten million ids share one with probability 5e-6.

    Zero is never returned: it means "no entity".
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1 or 1


@lru_cache(maxsize=1 << 12)
def surface_code(surface: str) -> int:
    """The byte that stands for a surface in states; two of five share one with probability .04."""
    return key(surface) % NUM_SURFACE_CODES


@lru_cache(maxsize=1 << 16)
def category_slots(categories: tuple[str, ...], num_slots: int) -> tuple[int, ...]:
    """The distinct slots that these categories hash to, in ascending order."""
    return tuple(sorted({key(name) % num_slots for name in categories}))
