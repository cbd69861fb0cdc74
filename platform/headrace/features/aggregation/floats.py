"""The floats in records: where they lie, so that those of a few records are looked at together.

U records   n floats of one size in a record   b bytes of one
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_SUM: Final = 1e18  # of the values of all outcomes of an entity
EXTREMES: Final = frozenset(("min", "max", "last"))  # fields that are infinite before any value


@dataclass(frozen=True, slots=True)
class Floats:
    """The floats of one type, of sums or of extremes."""

    dtype: np.dtype[Any]
    byte_nb: NDArray[np.int64]  # which bytes of a record each of them is
    are_extremes: bool

    def are_possible(self, record_U: NDArray[Any]) -> bool:
        """Whether facts can lead to these numbers: none is NaN, and sums have a bound."""
        byte_X = np.frombuffer(whole(record_U).tobytes(), np.uint8)
        byte_UB = byte_X.reshape(len(record_U), record_U.dtype.itemsize)
        value_Un = byte_UB.take(self.byte_nb, axis=1).view(self.dtype)[..., 0]
        if self.are_extremes:
            return not np.isnan(value_Un).any()
        return bool((np.abs(value_Un) <= MAX_SUM).all())  # not so of NaN


def floats_in(dtype: np.dtype[Any]) -> list[Floats]:
    """All floats of a record."""
    starts: dict[tuple[np.dtype[Any], bool], list[int]] = {}
    for start, one, is_extreme in _floats(dtype, 0, False):
        starts.setdefault((one, is_extreme), []).append(start)
    return [
        Floats(one, np.array(places)[:, None] + np.arange(one.itemsize), is_extreme)
        for (one, is_extreme), places in starts.items()
    ]


def whole(rows: NDArray[Any]) -> NDArray[np.void]:
    """The same rows as nothing but bytes: numpy copies them at once, and not field by field."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))


def _floats(
    dtype: np.dtype[Any], start: int, is_extreme: bool
) -> Iterator[tuple[int, np.dtype[Any], bool]]:
    """Where each float begins, its type, and whether it is an extreme."""
    if dtype.fields is not None:
        are_extremes = set(dtype.fields) >= EXTREMES
        for name, (inner, place, *_) in dtype.fields.items():
            yield from _floats(inner, start + place, are_extremes and name in EXTREMES)
    elif dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        for number in range(int(np.prod(shape))):
            yield from _floats(inner, start + number * inner.itemsize, is_extreme)
    elif dtype.kind == "f":
        yield start, dtype, is_extreme
