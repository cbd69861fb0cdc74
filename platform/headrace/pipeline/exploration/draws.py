"""Random draws of a request: a generator that its id seeds, so that they can be repeated."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def generator(request_id: str) -> np.random.Generator:
    """The random numbers of a request; the same id has the same ones."""
    digest = blake2b(request_id.encode(), digest_size=16, person=b"exploration").digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, np.uint64)))
