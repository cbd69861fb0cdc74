"""The interface of encoders: content of one modality in, one vector per item out.

N items   D width
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.content import Modality, Value


@dataclass(frozen=True, slots=True)
class Setup:
    """The device of an encoder, and where it finds what is no part of it."""

    device: str = "cpu"
    vector_width: int = 0  # of the catalogue's given vectors
    trained_folder: str = ""  # of the weights that were trained here


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of N items; a row is zeros where `mask_N` is false."""

    vector_ND: NDArray[np.float32]
    mask_N: NDArray[np.bool_]
    problems: Mapping[int, str]  # why a value that was given could not be read, by row


class Encoder(Protocol):
    """One way to encode one modality.

    `version` names everything that decides what comes out, weights included: vectors of different
    versions are never compared. The vector of a value does not depend on the others it came with.
    """

    name: str
    modality: Modality
    version: str
    dim: int

    def encode(self, values: Sequence[Value]) -> Encoded:
        """The vectors of these values; one that is None or cannot be read is masked."""
        ...


def read_text(value: str) -> str:
    """The text, if there is a letter or a digit in it."""
    if not any(map(str.isalnum, value)):
        raise ValueError("expected a text, got one without letters and digits")
    return value


def encode_readable(
    values: Sequence[Value],
    dim: int,
    read: Callable[[Any], Any],
    embed: Callable[[list[Any]], NDArray[np.float32]],
) -> Encoded:
    """Reads each value, and embeds [N, `dim`] those that `read` takes; a `ValueError` says why not.

    `embed` gets what `read` returned, never an empty list.
    """
    inputs: dict[int, Any] = {}
    problems: dict[int, str] = {}
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            inputs[row] = read(value)
        except ValueError as error:
            problems[row] = str(error)
    vector_ND = np.zeros((len(values), dim), dtype=np.float32)
    mask_N = np.zeros(len(values), dtype=np.bool_)
    if inputs:
        rows = list(inputs)
        vector_ND[rows] = embed(list(inputs.values()))
        mask_N[rows] = True
    return Encoded(vector_ND, mask_N, problems)
