"""A column of values of different lengths, one after the other, of which rows know the places.

    R rows   N rows asked for   V numbers of all values together

The first values may be mapped from a file; what comes later is appended beside them. A value is
never changed where it lies, so whoever has read its place reads it whole. The place and the length
are one number, which is read and written at once.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.table.key_index import longer

Values = NDArray[Any]
Ints = NDArray[np.int64]

LENGTH_BITS: Final = 24
MAX_LENGTH: Final = (1 << LENGTH_BITS) - 1
MIN_LOST: Final = 1 << 16  # numbers that nobody reads any more, before room is made
CHUNK_ROWS: Final = 1 << 14


class Ragged:
    """Values by row, the empty value where a row has none."""

    def __init__(self, first_V: Values, place_R: Ints | None = None) -> None:
        self._first_V, self._later_V = first_V, first_V[:0].copy()
        self._num_later = self.num_lost = 0
        self._place_R = np.zeros(1, np.int64) if place_R is None else place_R

    @classmethod
    def of_ends(cls, flat_V: Values, end_R: Ints) -> Ragged:
        """The column in which the value of each row ends where the next one's begins."""
        length_R = np.diff(end_R, prepend=0)
        return cls(flat_V, (end_R - length_R) << LENGTH_BITS | length_R)

    @property
    def num_bytes(self) -> int:
        """Bytes of the values and places."""
        return self._first_V.nbytes + self._later_V.nbytes + self._place_R.nbytes

    def reserve(self, num_rows: int) -> None:
        """Have room for so many rows."""
        if num_rows > len(self._place_R):
            self._place_R = longer(self._place_R, num_rows)

    def put(self, row_N: Ints, flat_V: Values, length_N: Ints) -> None:
        """Give distinct rows these values."""
        self.num_lost += int((self._place_R[row_N] & MAX_LENGTH).sum())
        end_N = self._append(flat_V) + np.cumsum(length_N)
        self._place_R[row_N] = (end_N - length_N) << LENGTH_BITS | length_N

    def take(self, row_N: Ints) -> tuple[Values, Ints]:
        """The values of these rows, one after the other, and their lengths."""
        place_N = self._place_R[row_N]
        later_V = self._later_V  # after the places: it has all of them
        start_N, length_N = place_N >> LENGTH_BITS, place_N & MAX_LENGTH
        before_N = np.cumsum(length_N) - length_N
        index_V = np.repeat(start_N - before_N, length_N) + np.arange(length_N.sum())
        num_first = len(self._first_V)
        later = np.flatnonzero(index_V >= num_first)
        if not len(later):
            return self._first_V[index_V], length_N
        flat_V = np.empty(len(index_V), later_V.dtype)
        flat_V[later] = later_V[index_V[later] - num_first]
        first = np.flatnonzero(index_V < num_first)
        flat_V[first] = self._first_V[index_V[first]]
        return flat_V, length_N

    def value(self, row: int) -> Values:
        """The value of a row."""
        place, later_V = int(self._place_R[row]), self._later_V
        start, length = place >> LENGTH_BITS, place & MAX_LENGTH
        if start < len(self._first_V):
            return self._first_V[start : start + length]
        start -= len(self._first_V)
        return later_V[start : start + length]

    @property
    def wastes(self) -> bool:
        """Whether more than half of the numbers are of values that no row has any more."""
        held = len(self._first_V) + self._num_later
        return self.num_lost > MIN_LOST and 2 * self.num_lost > held

    def packed(self) -> tuple[Values, Ints]:
        """The values of all rows without what is lost, and where each ends."""
        length_R = self._place_R & MAX_LENGTH
        end_R = np.cumsum(length_R)
        if not self._num_later and not self.num_lost:
            return self._first_V, end_R
        flat_V = np.empty(int(end_R[-1]), self._first_V.dtype)
        for start in range(0, len(end_R), CHUNK_ROWS):
            part_V, _ = self.take(np.arange(start, min(start + CHUNK_ROWS, len(end_R))))
            begin = int(end_R[start] - length_R[start])
            flat_V[begin : begin + len(part_V)] = part_V
        return flat_V, end_R

    def _append(self, flat_V: Values) -> int:
        """Where these numbers begin, after all others."""
        begin, num = self._num_later, self._num_later + len(flat_V)
        if num > len(self._later_V):
            self._later_V = longer(self._later_V, num + num // 4 + 1_024)
        self._later_V[begin:num] = flat_V
        self._num_later = num
        return len(self._first_V) + begin
