"""Baselines: plain lists beside slates, of the same points and without the same items.

I rows of the catalogue
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from typing import Final, Protocol

import numpy as np

from headrace.evaluation.slates.points import Visitor

HOUR_MS: Final = 3_600_000
HALF_LIFE_MS: Final = 6 * HOUR_MS
MOST_HALVES: Final = 400  # before weights would become too great for a number
LEAST: Final = 1e-100
MOST_SESSIONS: Final = 500  # of an item, the last ones
MOST_NEIGHBOURS: Final = 100


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


class Covisitation:
    """Items of the same sessions by their cosine, each pair counting half after six hours.

    Weights are kept as of a moment of long ago, at which they are the greater the later they come:
    a cosine does not see by how much.
    """

    def __init__(self) -> None:
        self._pairs: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._items: dict[int, float] = defaultdict(float)
        self._begin_ms = -1

    def add(self, now_ms: int, visitor: Visitor, row: int) -> None:
        """Take in that a user, as he was before, chose this."""
        if self._begin_ms < 0:
            self._begin_ms = now_ms
        if now_ms - self._begin_ms > MOST_HALVES * HALF_LIFE_MS:
            self._move(now_ms)
        weight = 2.0 ** ((now_ms - self._begin_ms) / HALF_LIFE_MS)
        self._items[row] += weight
        for other in visitor.session:
            if other != row:
                self._pairs[row][other] += weight
                self._pairs[other][row] += weight

    def scores(self, now_ms: int, visitor: Visitor) -> dict[int, float]:
        """The rows that it proposes to a user, with their scores."""
        scores: dict[int, float] = defaultdict(float)
        for row in visitor.session:
            own = math.sqrt(self._items[row])
            for other, pair in self._pairs[row].items():
                scores[other] += pair / (own * math.sqrt(self._items[other]))
        return scores

    def _move(self, now_ms: int) -> None:
        """Keep the weights as of now, without those that are nothing any more."""
        share = 2.0 ** ((self._begin_ms - now_ms) / HALF_LIFE_MS)
        items = {row: weight * share for row, weight in self._items.items()}
        self._items = defaultdict(float, {row: w for row, w in items.items() if w > LEAST})
        for row, pairs in self._pairs.items():
            kept = {other: weight * share for other, weight in pairs.items()}
            kept = {one: weight for one, weight in kept.items() if one in self._items}
            self._pairs[row] = defaultdict(float, kept if row in self._items else {})
        self._begin_ms = now_ms


class NextItem:
    """Items that came after the last one of the session, the nearer the more."""

    def __init__(self) -> None:
        self._after: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, now_ms: int, visitor: Visitor, row: int) -> None:
        """Take in that a user, as he was before, chose this."""
        for apart, other in enumerate(reversed(visitor.session), 1):
            if other != row:
                self._after[other][row] += 1 / apart

    def scores(self, now_ms: int, visitor: Visitor) -> dict[int, float]:
        """The rows that it proposes to a user, with their scores."""
        return self._after.get(visitor.session[-1], {}) if visitor.session else {}


class SessionNeighbours:
    """Items of the sessions that share most with this one, of the last ones of each item."""

    def __init__(self) -> None:
        self._rows: dict[int, list[int]] = defaultdict(list)  # by session
        self._sessions: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=MOST_SESSIONS))

    def add(self, now_ms: int, visitor: Visitor, row: int) -> None:
        """Take in that a user, as he was before, chose this."""
        number = visitor.session_number
        if row not in self._rows[number]:
            self._rows[number].append(row)
            self._sessions[row].append(number)

    def scores(self, now_ms: int, visitor: Visitor) -> dict[int, float]:
        """The rows that it proposes to a user, with their scores."""
        shared: dict[int, float] = defaultdict(float)
        num = len(visitor.session)
        for place, row in enumerate(visitor.session, 1):
            for number in self._sessions.get(row, ()):
                shared[number] += place / num
        shared.pop(visitor.session_number, None)
        scores: dict[int, float] = defaultdict(float)
        for number in heapq.nlargest(MOST_NEIGHBOURS, shared, key=lambda one: (shared[one], one)):
            rows = self._rows[number]
            for row in rows:
                scores[row] += shared[number] / math.sqrt(len(rows))
        return scores


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
