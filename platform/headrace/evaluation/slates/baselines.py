"""Baselines: plain lists beside slates, of the same points and without the same items.

I rows of the catalogue
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

import numpy as np

from headrace.evaluation.slates.points import Visitor
from headrace.evaluation.slates.sessions import Covisitation, NextItem, SessionNeighbours

HOUR_MS: Final = 3_600_000


class Baseline(Protocol):
    """A list that is made of choices."""

    def add(self, now_ms: int, visitor: Visitor, row: int) -> None:
        """Take in that a user, as he was before, chose this."""
        ...

    def scores(self, now_ms: int, visitor: Visitor) -> dict[int, float]:
        """The rows that it proposes to a user, with their scores."""
        ...


class Popular:
    """The rows that were chosen most in the last so many milliseconds."""

    def __init__(self, window_ms: int, num_rows: int) -> None:
        self._window_ms, self._count_I = window_ms, np.zeros(num_rows, np.int64)
        self._inside: deque[tuple[int, int]] = deque()

    def add(self, now_ms: int, row: int) -> None:
        """Take in a choice."""
        self._count_I[row] += 1
        self._inside.append((now_ms, row))

    def top(self, now_ms: int, without: set[int], num: int) -> list[int]:
        """The first rows that are none of these."""
        while self._inside and self._inside[0][0] <= now_ms - self._window_ms:
            self._count_I[self._inside.popleft()[1]] -= 1
        most = min(num + len(without) + 1, len(self._count_I))
        best = np.argpartition(-self._count_I, most - 1)[:most]
        best = best[np.lexsort((best, -self._count_I[best]))]
        return [row for row in best.tolist() if row and row not in without][:num]


class Baselines:
    """All baselines of an evaluation; those that know of sessions are filled up by the hour's."""

    def __init__(self, num_rows: int) -> None:
        self._popular = {
            "popular_1h": Popular(HOUR_MS, num_rows),
            "popular_24h": Popular(24 * HOUR_MS, num_rows),
            "popular_30d": Popular(720 * HOUR_MS, num_rows),
        }
        self._of_sessions: dict[str, Baseline] = {
            "covisitation": Covisitation(),
            "next_item": NextItem(),
            "session_neighbours": SessionNeighbours(),
        }

    def add(self, now_ms: int, visitor: Visitor, rows: list[int]) -> None:
        """Take in that a user, as he was before, chose these."""
        for row in rows:
            for popular in self._popular.values():
                popular.add(now_ms, row)
            for one in self._of_sessions.values():
                one.add(now_ms, visitor, row)

    def tops(self, now_ms: int, visitor: Visitor, num: int) -> dict[str, list[int]]:
        """The list of each."""
        tops = {name: one.top(now_ms, visitor.had, num) for name, one in self._popular.items()}
        for name, of_session in self._of_sessions.items():
            scores = of_session.scores(now_ms, visitor)
            best = sorted(scores, key=lambda row: (-scores[row], row))
            found = [row for row in best if row not in visitor.had][:num]
            filled = [row for row in tops["popular_1h"] if row not in found]
            tops[name] = [*found, *filled][:num]
        return tops
