"""Random draws of a request: a generator that its id seeds, so that they can be repeated."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def generator(request_id: str, use: str) -> np.random.Generator:
    """The random numbers of a request for a use; the same id has the same ones for it."""
    digest = blake2b(request_id.encode(), digest_size=16, person=use.encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, np.uint64)))
