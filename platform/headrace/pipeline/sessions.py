"""The memory of sessions: choices that belong together, and the sessions nearest to one.

It remembers the sessions of the last requests, in one process, and begins empty: it is made of
what requests bring along, and costs nobody a message.

    S sessions   R rows of each   X sessions that share a row   Y such sessions, each once
    K neighbours   N rows of these
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints

MOST_SESSIONS: Final = 1 << 15
MOST_ROWS: Final = 64  # of a session, the last ones
MOST_OF_ROW: Final = 500  # sessions of a catalogue row, the last ones
NEIGHBOURS: Final = 100
NEWER: Final = 1e-9  # of two sessions that are as near
OWN: Final = -1

Floats = NDArray[np.float64]


class SessionMemory:
    """Sessions by number, the newest the highest; each is its user's until he begins another."""

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        self._most, self._next = most, 0
        self._row_SR = np.zeros((most, MOST_ROWS), np.int32)
        self._length_S = np.zeros(most, np.int64)  # of all rows that a session ever had
        self._user_S = [""] * most
        self._number_of: dict[str, int] = {}
        self._sessions_of: dict[int, deque[int]] = {}  # numbers, by row
        self._lock = threading.Lock()

    def remember(self, user_id: str, rows: Sequence[int]) -> None:
        """Take in the session of a user: the rows that he chose, in their order."""
        with self._lock:
            number = self._number_of.get(user_id)
            if number is None or not self._has_any(number, rows):
                number = self._begin(user_id)
            slot = number % self._most
            known = set(self._row_SR[slot].tolist())
            for row in rows[-MOST_ROWS:]:
                if row not in known:
                    self._row_SR[slot, self._length_S[slot] % MOST_ROWS] = row
                    self._length_S[slot] += 1
                    sessions = self._sessions_of.setdefault(row, deque(maxlen=MOST_OF_ROW))
                    sessions.append(number)

    def near(self, user_id: str, rows: Sequence[int]) -> tuple[Ints, Floats]:
        """[N] each: the rows of the sessions that share most with these rows, and their scores.

        A session counts by the rows that it shares, later ones more, and less if it is long; few
        that share little say less than many.
        """
        with self._lock:
            number_X, weight_X = self._sharing(rows)
            number_X, weight_X = self._others(user_id, number_X, weight_X)
            if not len(number_X):
                return np.zeros(0, np.int64), np.zeros(0)
            slot_K, share_K = self._nearest(number_X, weight_X)
            row_KR = self._row_SR[slot_K]
        length_K = (row_KR != 0).sum(1)
        score_KR = np.broadcast_to((share_K / np.sqrt(length_K))[:, None], row_KR.shape)
        is_there_KR = row_KR != 0
        row_N, place_X = np.unique(row_KR[is_there_KR], return_inverse=True)
        score_N = np.bincount(place_X.reshape(-1), score_KR[is_there_KR], len(row_N))
        return row_N.astype(np.int64), score_N / (share_K.sum() + 1)

    def _has_any(self, number: int, rows: Sequence[int]) -> bool:
        return not set(rows).isdisjoint(self._row_SR[number % self._most].tolist())

    def _begin(self, user_id: str) -> int:
        """A new session in the place of the oldest one."""
        number, slot = self._next, self._next % self._most
        self._next += 1
        if self._number_of.get(self._user_S[slot]) == number - self._most:
            del self._number_of[self._user_S[slot]]
        self._row_SR[slot], self._length_S[slot] = 0, 0
        self._user_S[slot], self._number_of[user_id] = user_id, number
        if slot == 0:
            self._forget()
        return number

    def _forget(self) -> None:
        """Leave out the rows that only sessions of long ago have."""
        oldest = self._next - self._most
        gone = [row for row, numbers in self._sessions_of.items() if numbers[-1] < oldest]
        for row in gone:
            del self._sessions_of[row]

    def _sharing(self, rows: Sequence[int]) -> tuple[Ints, Floats]:
        """[X] each: the numbers of sessions that have one of these rows, and its weight."""
        found = [self._sessions_of.get(row, ()) for row in rows]
        lengths = [*map(len, found)]
        number_X = np.fromiter(chain.from_iterable(found), np.int64, sum(lengths))
        weight_X: Floats = np.repeat(np.arange(1, len(rows) + 1) / max(len(rows), 1), lengths)
        return number_X, weight_X

    def _others(self, user_id: str, number_X: Ints, weight_X: Floats) -> tuple[Ints, Floats]:
        """Without the user's own session, and without those whose place another has taken."""
        own = self._number_of.get(user_id, OWN)
        is_other_X = (number_X >= self._next - self._most) & (number_X != own)
        return number_X[is_other_X], weight_X[is_other_X]

    def _nearest(self, number_X: Ints, weight_X: Floats) -> tuple[Ints, Floats]:
        """[K] each: the places of the nearest sessions, of equal ones the newest, and how near."""
        number_Y, place_X = np.unique(number_X, return_inverse=True)
        share_Y = np.bincount(place_X.reshape(-1), weight_X, len(number_Y)).astype(np.float64)
        if len(number_Y) > NEIGHBOURS:
            near_Y = share_Y + NEWER * np.arange(len(number_Y))
            nearest_K = np.argpartition(-near_Y, NEIGHBOURS)[:NEIGHBOURS]
            number_Y, share_Y = number_Y[nearest_K], share_Y[nearest_K]
        return number_Y % self._most, share_Y
