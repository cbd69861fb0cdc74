"""The rows of the users that a partition met lately, in memory.

R rows of the table   N users asked for
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headrace.features.facts import Ints
from headrace.features.state import Rows, row_dtype, whole
from headrace.features.table import USER_LAYOUT
from headrace.partitioner import partitions_of

MAX_ROOM = 100_000  # rows that there is room for from the start


class UserTable:
    """Rows and attributes by user id, no more than `capacity` of them between two steps.

    Rows lie where they are until they are forgotten, and their places are used again: nothing is
    ever copied to make room, except for more users than there is room for.
    """

    def __init__(self, partition: int, capacity: int, num_partitions: int = 0) -> None:
        self._partition, self._capacity = partition, capacity
        self._num_partitions = num_partitions  # 0: it is not asked who belongs here
        self.misplaced: set[str] = set()  # users here that belong to other partitions
        self._number_of: dict[str, int] = {}
        room = min(capacity, MAX_ROOM)
        self._rows_R = np.zeros(room, row_dtype(USER_LAYOUT))  # takes no memory before its use
        self._used_R = np.zeros(room, dtype=np.int64)  # the step that used the row last
        self._step = 1
        self.ids: list[str] = []  # [R] of those ever used
        self._token_keys: list[tuple[int, ...]] = []  # [R] the users' attributes
        self._free: list[int] = []  # rows of users that were forgotten

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The users among these whose rows are not here."""
        return [user_id for user_id in dict.fromkeys(ids) if user_id not in self._number_of]

    def add(self, ids: Sequence[str], rows_N: Rows, token_keys: Sequence[tuple[int, ...]]) -> None:
        """Take in stored rows of users that are missing."""
        numbers = self._places(len(ids))
        self._number_of.update(zip(ids, numbers, strict=True))
        for number, user_id, keys in zip(numbers, ids, token_keys, strict=True):
            self.ids[number], self._token_keys[number] = user_id, keys
        if self._num_partitions:
            home_N = partitions_of([id_.encode() for id_ in ids], self._num_partitions)
            away = np.flatnonzero(home_N != self._partition).tolist()
            self.misplaced.update(ids[place] for place in away)
        moved_N = rows_N["partition"] != self._partition  # the topic was repartitioned
        rows_N["position"][moved_N] = -1
        rows_N["partition"] = self._partition
        self.write(np.array(numbers, np.int64), rows_N)

    def attributes_of(self, user_id: str) -> tuple[int, ...]:
        """The keys of a user's attributes; the user must be here."""
        return self._token_keys[self._number_of[user_id]]

    def numbers(self, ids: Iterable[str]) -> Ints:
        """[N]: where the rows of these users are; they must be here."""
        return np.fromiter(map(self._number_of.__getitem__, ids), np.int64)

    def read(self, numbers_N: Ints) -> Rows:
        """[N]: copies of rows."""
        return self._rows_R.take(numbers_N)

    def write(self, numbers_N: Ints, rows_N: Rows) -> None:
        """Put back rows of distinct users."""
        whole(self._rows_R)[numbers_N] = whole(rows_N)
        self._used_R[numbers_N] = self._step

    def end_step(self) -> None:
        """Forget the users not used for longest where there are too many, a quarter at once."""
        self._step += 1
        num_users = len(self._number_of)
        if num_users <= self._capacity:
            return
        used_R = self._used_R[: len(self.ids)]
        oldest = np.argsort(used_R, kind="stable")[len(self._free) :]  # free ones come first
        for number in oldest[: num_users - self._capacity * 3 // 4].tolist():
            del self._number_of[self.ids[number]]
            self.misplaced.discard(self.ids[number])
            self.ids[number], self._token_keys[number] = "", ()
            self._used_R[number] = 0
            self._free.append(number)

    def _places(self, num: int) -> list[int]:
        """So many rows that are nobody's."""
        reused = [self._free.pop() for _ in range(min(num, len(self._free)))]
        start, more = len(self.ids), num - len(reused)
        self.ids += [""] * more
        self._token_keys += [()] * more
        beyond = max(start + more - len(self._rows_R), 0)
        if beyond:
            room = max(beyond, len(self._rows_R) // 2)
            self._rows_R = np.concatenate([self._rows_R, np.zeros(room, self._rows_R.dtype)])
            self._used_R = np.concatenate([self._used_R, np.zeros(room, np.int64)])
        return [*reused, *range(start, start + more)]
