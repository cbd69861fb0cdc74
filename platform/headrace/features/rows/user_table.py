"""The rows of the users that a partition met lately, in memory.

R rows of the table   N users asked for
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from headrace.broker.partitioner import partitions_of
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.floats import whole
from headrace.features.rows.state_row import Rows, row_dtype
from headrace.features.table import USER_LAYOUT

MAX_ROOM = 100_000  # rows that there is room for from the start
MAX_FORGOTTEN = 100_000  # users remembered after their rows were forgotten: a hash of each
MAX_UNKNOWN = 20_000  # 38 MB; far more than come in two steps, so that what is forgotten is stored


class UserTable:
    """Rows and attributes by user id, no more than `capacity` of them between two steps, and of
    users that nobody announced no more than `max_unknown`.

    Rows lie where they are until they are forgotten, and their places are used again: nothing is
    ever copied to make room, except for more users than there is room for.
    """

    def __init__(
        self,
        partition: int,
        capacity: int,
        num_partitions: int = 0,
        max_unknown: int = MAX_UNKNOWN,
    ) -> None:
        self._partition, self._capacity, self._max_unknown = partition, capacity, max_unknown
        self._num_partitions = num_partitions  # 0: it is not asked who belongs here
        self.misplaced: set[str] = set()  # users here that belong to other partitions
        self._index_of: dict[str, int] = {}
        room = min(capacity, MAX_ROOM)
        self._rows_R = np.zeros(room, row_dtype(USER_LAYOUT))  # takes no memory before its use
        self._used_R = np.zeros(room, dtype=np.int64)  # the step that used the row last
        self._step = 1
        self.ids: list[str] = []  # [R] of those ever used
        self._word_keys: list[tuple[int, ...]] = []  # [R] the users' attributes
        self._unknown_R = np.zeros(room, dtype=bool)  # nobody announced the user
        self._free: list[int] = []  # rows of users that were forgotten
        self._forgotten: set[int] = set()  # who they were, or a sample of them: one in so many
        self._one_in = 1

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The users among these whose rows are not here."""
        return [user_id for user_id in dict.fromkeys(ids) if user_id not in self._index_of]

    def add(
        self,
        ids: Sequence[str],
        rows_N: Rows,
        word_keys: Sequence[tuple[int, ...]],
        unknown: Sequence[bool] | bool = False,
    ) -> None:
        """Take in stored rows of users that are missing, and which of them nobody announced."""
        indexes = self._places(len(ids))
        self._unknown_R[indexes] = unknown
        self._index_of.update(zip(ids, indexes, strict=True))
        for index, user_id, keys in zip(indexes, ids, word_keys, strict=True):
            self.ids[index], self._word_keys[index] = user_id, keys
        if self._num_partitions:
            home_N = partitions_of([id_.encode() for id_ in ids], self._num_partitions)
            away = np.flatnonzero(home_N != self._partition).tolist()
            self.misplaced.update(ids[place] for place in away)
        moved_N = rows_N["partition"] != self._partition  # the topic was repartitioned
        rows_N["position"][moved_N] = -1
        rows_N["partition"] = self._partition
        self.write(np.array(indexes, np.int64), rows_N)

    def forgotten_among(self, ids: Iterable[str]) -> int:
        """How many of these users had rows here that were forgotten, as far as that is known.

        Of many forgotten ones every second is remembered, then every fourth and so on. Each is
        told once.
        """
        hashes = set(map(hash, ids)) & self._forgotten
        self._forgotten -= hashes
        return len(hashes)

    def without_events(self, ids: Iterable[str]) -> set[str]:
        """Those of these users whose rows are as before any event; they must be here."""
        users = list(ids)
        is_fresh_N = self._rows_R["event_time_ms"][self.indexes(users)] == 0
        return set(compress(users, is_fresh_N.tolist()))

    def attributes_of(self, user_id: str) -> tuple[int, ...]:
        """The keys of a user's attributes; the user must be here."""
        return self._word_keys[self._index_of[user_id]]

    def tell(self, user_id: str, word_keys: tuple[int, ...], is_unknown: bool) -> None:
        """Give a user other attributes, if he is here."""
        index = self._index_of.get(user_id)
        if index is not None:
            self._word_keys[index], self._unknown_R[index] = word_keys, is_unknown

    def are_unknown(self, index_N: Ints) -> NDArray[np.bool_]:
        """[N]: True for users that nobody announced."""
        return self._unknown_R[index_N]

    def indexes(self, ids: Iterable[str]) -> Ints:
        """[N]: where the rows of these users are; they must be here."""
        return np.fromiter(map(self._index_of.__getitem__, ids), np.int64)

    def read(self, index_N: Ints) -> Rows:
        """[N]: copies of rows."""
        return self._rows_R.take(index_N)

    def write(self, index_N: Ints, rows_N: Rows) -> None:
        """Put back rows of distinct users."""
        whole(self._rows_R)[index_N] = whole(rows_N)
        self._used_R[index_N] = self._step

    def end_step(self) -> None:
        """Forget the users not used for longest where there are too many, a quarter at once."""
        self._step += 1
        index_K = np.flatnonzero(self._unknown_R[: len(self.ids)])
        if len(index_K) > self._max_unknown:
            self._forget_oldest(index_K, self._max_unknown)
        if len(self._index_of) > self._capacity:
            self._forget_oldest(np.flatnonzero(self._used_R), self._capacity)

    def _forget_oldest(self, index_K: Ints, capacity: int) -> None:
        """Forget so many of these, those not used for longest, that a quarter of it is free."""
        oldest_K = index_K[np.argsort(self._used_R[index_K], kind="stable")]
        gone_E = oldest_K[: len(index_K) - capacity * 3 // 4]
        for index in gone_E.tolist():
            del self._index_of[self.ids[index]]
            self.misplaced.discard(self.ids[index])
            self._remember(hash(self.ids[index]))
            self.ids[index], self._word_keys[index] = "", ()
            self._free.append(index)
        self._used_R[gone_E], self._unknown_R[gone_E] = 0, False

    def _remember(self, user_hash: int) -> None:
        if user_hash % self._one_in:
            return
        self._forgotten.add(user_hash)
        if len(self._forgotten) > MAX_FORGOTTEN:
            self._one_in *= 2
            self._forgotten = {one for one in self._forgotten if not one % self._one_in}

    def _places(self, num: int) -> list[int]:
        """So many rows that are nobody's."""
        reused = [self._free.pop() for _ in range(min(num, len(self._free)))]
        start, more = len(self.ids), num - len(reused)
        self.ids += [""] * more
        self._word_keys += [()] * more
        beyond = max(start + more - len(self._rows_R), 0)
        if beyond:
            room = max(beyond, len(self._rows_R) // 2)
            self._rows_R = np.concatenate([self._rows_R, np.zeros(room, self._rows_R.dtype)])
            self._used_R = np.concatenate([self._used_R, np.zeros(room, np.int64)])
            self._unknown_R = np.concatenate([self._unknown_R, np.zeros(room, bool)])
        return [*reused, *range(start, start + more)]
