"""The rows of the users that a partition met lately, in memory.

R rows of the table   N users asked for
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headrace.features.facts import Ints
from headrace.features.state import Rows, fresh_rows
from headrace.features.table import USER_LAYOUT


class UserTable:
    """Rows and attributes by user id, no more than `capacity` of them between two steps."""

    def __init__(self, partition: int, capacity: int) -> None:
        self._partition, self._capacity = partition, capacity
        self._number_of: dict[str, int] = {}
        self._rows_R = fresh_rows(USER_LAYOUT, 0, partition)
        self._used_R = np.zeros(0, dtype=np.int64)  # the step that used the row last
        self._step = 0
        self.ids: list[str] = []  # [R]
        self._token_keys: list[tuple[int, ...]] = []  # [R] the users' attributes

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The users among these whose rows are not here."""
        return [user_id for user_id in dict.fromkeys(ids) if user_id not in self._number_of]

    def add(self, ids: Sequence[str], rows_N: Rows, token_keys: Sequence[tuple[int, ...]]) -> None:
        """Take in stored rows of users that are missing."""
        start = len(self.ids)
        if start + len(ids) > len(self._rows_R):
            more = max(start + len(ids), 2 * len(self._rows_R), 256) - len(self._rows_R)
            fresh = fresh_rows(USER_LAYOUT, more, self._partition)
            self._rows_R = np.concatenate([self._rows_R, fresh])
            self._used_R = np.concatenate([self._used_R, np.zeros(more, dtype=np.int64)])
        self._number_of.update(zip(ids, range(start, start + len(ids)), strict=True))
        self.ids += ids
        self._token_keys += token_keys
        moved_N = rows_N["partition"] != self._partition  # the topic was repartitioned
        rows_N["position"][moved_N] = -1
        rows_N["partition"] = self._partition
        self._rows_R[start : len(self.ids)] = rows_N
        self._used_R[start : len(self.ids)] = self._step

    def attributes_of(self, user_id: str) -> tuple[int, ...]:
        """The keys of a user's attributes; the user must be here."""
        return self._token_keys[self._number_of[user_id]]

    def numbers(self, ids: Iterable[str]) -> Ints:
        """[N]: where the rows of these users are; they must be here."""
        return np.fromiter(map(self._number_of.__getitem__, ids), np.int64)

    def read(self, numbers_N: Ints) -> Rows:
        """[N]: copies of rows."""
        return self._rows_R[numbers_N]

    def write(self, numbers_N: Ints, rows_N: Rows) -> None:
        """Put back rows of distinct users."""
        self._rows_R[numbers_N] = rows_N
        self._used_R[numbers_N] = self._step

    def end_step(self) -> None:
        """Forget the users not used for longest where there are too many, a quarter at once."""
        self._step += 1
        num = len(self.ids)
        if num <= self._capacity:
            return
        keep = np.sort(np.argsort(-self._used_R[:num], kind="stable")[: self._capacity * 3 // 4])
        self._rows_R, self._used_R = self._rows_R[keep], self._used_R[keep]
        self.ids = [self.ids[number] for number in keep]
        self._token_keys = [self._token_keys[number] for number in keep]
        self._number_of = {user_id: number for number, user_id in enumerate(self.ids)}
