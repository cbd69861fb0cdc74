"""The memory allocator: freed memory is kept for reuse, or trimmed."""

from __future__ import annotations

import ctypes
from typing import Final

KEPT_BYTES: Final = 1 << 26
# Ray's runtime environment of a process all of whose threads share one heap. `give_back` returns
# all that is free in it; of the heaps that threads have by themselves the C library keeps the ends,
# up to `KEPT_BYTES` of each. Ray has threads before any line of ours runs, so only the environment
# can say it.
ONE_HEAP: Final = {"env_vars": {"MALLOC_ARENA_MAX": "1"}}
# Of glibc's mallopt; the second is 32 MB at most.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_freed() -> None:
    """Let the allocator keep freed memory, up to `KEPT_BYTES`, for reuse.

    A step's arrays are as large as those of the step before. glibc gives them back to the system,
    which then clears every page again: a tenth of a stream worker's time. Threads that start from
    now on get no heaps of their own, but share those that there are (`ONE_HEAP`). Does nothing
    where the C library has no `mallopt`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, KEPT_BYTES // 2)
        mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Trim the heap: return freed memory to the system, in milliseconds. To be called now and then,
    so that a burst's memory comes back. Does nothing where the C library has no `malloc_trim`."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
