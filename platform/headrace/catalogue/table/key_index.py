"""Row numbers for keys, without a fixed vocabulary and without collisions.

    N keys asked for   U distinct keys   P those to be placed or removed   S slots   R rows

Cuckoo hashing (Pagh & Rodler, 2004): a key is in one of two slots, so finding it takes at most two
looks and removing it leaves nothing behind. A slot holds a row number; the key itself is kept once,
at its row, and is always compared. Everything is done for all keys at once, in numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Rows = NDArray[np.int64]

MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)  # odd: they spread keys over the high bits
SLOTS_PER_KEY = 3  # at least; cuckoo hashing works from 2 on, with more evictions
_MASK = (1 << 64) - 1
MAX_ROUNDS = 200  # of evictions; a million keys at once need about twenty


def longer(array_R: NDArray[Any], num_rows: int) -> NDArray[Any]:
    """The array with zeros at its end, so that it has this many rows."""
    more = num_rows - len(array_R)
    return np.concatenate((array_R, np.zeros((more, *array_R.shape[1:]), array_R.dtype)))


class KeyIndex:
    """A row number from 1 on for every key; the rows of removed keys are given out again.

    Key 0 is no key and has row 0, as have all keys that are not in the index.
    """

    def __init__(self, num_slots: int = 1 << 12) -> None:
        self.num_rows = 1  # rows given out so far, with row 0 and those that were freed
        self._key_R: Keys = np.zeros(1 << 10, dtype=np.int64)
        self._free: Rows = np.zeros(0, dtype=np.int64)  # descending: the lowest is the next
        self._multipliers = tuple(map(np.uint64, MULTIPLIERS))
        self._num_rebuilt = self._num_withdrawn = 0
        self._clear_slots(num_slots)

    @classmethod
    def of_rows(cls, key_R: Keys) -> KeyIndex:
        """The index in which these rows have these keys, and those with key 0 are free; row 0 is
        nobody's. The array is kept, and written to."""
        row_P = np.flatnonzero(key_R)
        index = cls(1 << max(12, (SLOTS_PER_KEY * len(row_P)).bit_length()))
        index._key_R, index.num_rows = key_R, int(row_P[-1]) + 1 if len(row_P) else 1
        index._free = (np.flatnonzero(key_R[1 : index.num_rows] == 0) + 1)[::-1]
        index._place(row_P)
        return index

    def __len__(self) -> int:
        return self.num_rows - 1 - len(self._free) - self._num_withdrawn

    @property
    def capacity(self) -> int:
        """How many rows there is room for; arrays with an entry per row need no more."""
        return len(self._key_R)

    @property
    def num_bytes(self) -> int:
        return self._key_R.nbytes + self._row_S.nbytes + self._free.nbytes

    def find(self, keys_N: Keys) -> Rows:
        """The row of each key, 0 where it has none."""
        row_N = self._row_S.take(self._slot(keys_N, 0)).astype(np.int64)
        (other_P,) = (self._key_R.take(row_N) != keys_N).nonzero()
        keys_P = keys_N.take(other_P)
        row_P = self._row_S.take(self._slot(keys_P, 1))
        row_N[other_P] = np.where(self._key_R.take(row_P) == keys_P, row_P, 0)
        return row_N

    def row(self, key: int) -> int:
        """The row of one key, 0 where it has none; faster than `find`, whose cost is for many."""
        for multiplier in self._multipliers:
            slot = (key * int(multiplier) & _MASK) >> int(self._shift)
            row = int(self._row_S[slot])
            if self._key_R[row] == key:
                return row
        return 0

    def add(self, keys_U: Keys) -> Rows:
        """The row of each key, a new one where it had none. The keys must be distinct."""
        row_U = self.find(keys_U)
        fresh_U = (row_U == 0) & (keys_U != 0)
        if fresh_U.any():
            row_P = self._take_rows(int(fresh_U.sum()))
            self._key_R[row_P] = keys_U[fresh_U]
            row_U[fresh_U] = row_P
            if SLOTS_PER_KEY * len(self) > len(self._row_S):
                self._clear_slots(1 << (SLOTS_PER_KEY * len(self) - 1).bit_length())
                row_P = self.rows()
            self._place(row_P)
        return row_U

    def remove(self, keys_U: Keys) -> Rows:
        """The rows that these keys had; they are free from now on. The keys must be distinct."""
        row_P = self.withdraw(keys_U)
        self.free(row_P)
        return row_P

    def withdraw(self, keys_U: Keys) -> Rows:
        """The rows that these keys had, which nobody gets before `free`. The keys must be
        distinct."""
        found_U = self.find(keys_U)
        row_P: Rows = found_U[found_U != 0]
        keys_P = self.keys(row_P)
        for which in (0, 1):
            slot_P = self._slot(keys_P, which)
            self._row_S[slot_P[self._row_S[slot_P] == row_P]] = 0
        self._key_R[row_P] = 0
        self._num_withdrawn += len(row_P)
        return row_P

    def free(self, row_P: Rows) -> None:
        """Let others have rows that were withdrawn."""
        self._num_withdrawn -= len(row_P)
        self._free = np.sort(np.concatenate((self._free, row_P)))[::-1]

    def rows(self) -> Rows:
        """The rows in use, ascending."""
        return np.flatnonzero(self._key_R[: self.num_rows])

    def keys(self, rows_U: Rows) -> Keys:
        """The key of each row, 0 where the row is free."""
        keys_U: Keys = self._key_R[rows_U]
        return keys_U

    def _take_rows(self, num_rows: int) -> Rows:
        """Free rows first, the lowest first, then new ones."""
        kept = max(0, len(self._free) - num_rows)
        reused, self._free = self._free[kept:][::-1], self._free[:kept]
        end = self.num_rows + num_rows - len(reused)
        if end > self.capacity:
            self._key_R = longer(self._key_R, end + end // 8)
        rows_P = np.concatenate((reused, np.arange(self.num_rows, end)))
        self.num_rows = end
        return rows_P

    def _clear_slots(self, num_slots: int) -> None:
        self._row_S: NDArray[np.int32] = np.zeros(num_slots, dtype=np.int32)
        self._shift = np.uint64(64 - (num_slots.bit_length() - 1))

    def _slot(self, keys_N: Keys, which: int) -> NDArray[np.int64]:
        """The first or the second slot in which a key may be."""
        spread_N = keys_N.view(np.uint64) * self._multipliers[which]
        spread_N >>= self._shift
        slot_N: NDArray[np.int64] = spread_N.view(np.int64)
        return slot_N

    def _place(self, row_P: Rows) -> None:
        """Give slots to rows that have none: a free one of their two, else one that is taken.

        The row that was there moves to its other slot, and so on until all have one.
        """
        slot_P = self._slot(self._key_R[row_P], 0)
        taken_P = self._row_S[slot_P] != 0
        slot_P[taken_P] = self._slot(self._key_R[row_P[taken_P]], 1)
        for _ in range(MAX_ROUNDS):
            before_P = self._row_S[slot_P].astype(np.int64)
            self._row_S[slot_P[::-1]] = row_P[::-1]  # of several that want a slot the first has it
            lost_P = self._row_S[slot_P] != row_P
            evicted_P = ~lost_P & (before_P != 0)
            row_P = np.concatenate((row_P[lost_P], before_P[evicted_P]))
            if not len(row_P):
                return
            keys_P = self._key_R[row_P]
            slot_P = np.concatenate((slot_P[lost_P], slot_P[evicted_P]))
            slot_P ^= self._slot(keys_P, 0) ^ self._slot(keys_P, 1)
        self._rebuild()

    def _rebuild(self) -> None:
        """Place every row anew with other multipliers: three keys may want the same two slots."""
        self._num_rebuilt += 1
        draw = np.random.default_rng(self._num_rebuilt)
        first, second = draw.integers(0, 1 << 64, 2, dtype=np.uint64) | np.uint64(1)
        self._multipliers = first, second
        self._clear_slots(len(self._row_S))
        self._place(self.rows())
