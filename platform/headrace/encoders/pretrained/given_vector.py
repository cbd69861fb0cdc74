"""Vectors that the catalogue brings along, such as features of a trailer: taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from headrace.catalogue.content import Modality, Value
from headrace.encoders.encoder import Encoded, Setup, encode_readable

LARGEST: Final = float(np.finfo(np.float32).max)


class GivenVector:
    """Vectors of the catalogue's width, unchanged: their length is whatever it was."""

    name: str = "given_vector"
    modality: Modality = "vector"

    def __init__(self, width: int) -> None:
        self.dim = width
        self.version = f"1-{width}d"

    def encode(self, values: Sequence[Value]) -> Encoded:
        """[N, width]: these vectors."""
        return encode_readable(
            values, self.dim, self._read, lambda vectors: np.array(vectors, dtype=np.float32)
        )

    def _read(self, vector: Sequence[float]) -> Sequence[float]:
        if len(vector) != self.dim:
            raise ValueError(f"expected {self.dim} numbers, got {len(vector)}")
        for at, number in enumerate(vector):
            if not abs(number) <= LARGEST:
                raise ValueError(f"number {at + 1} is missing or too large for float32: {number}")
        return vector


def load(setup: Setup) -> GivenVector:
    """The encoder of vectors of the width in `setup`."""
    return GivenVector(setup.vector_width)
