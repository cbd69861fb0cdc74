"""Lists by sessions: co-visitation, next item and session neighbours, as they are known."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict, deque
from typing import Final

from headrace.evaluation.slates.points import Visitor

HALF_LIFE_MS: Final = 6 * 3_600_000
MOST_SESSIONS: Final = 500  # of an item, the last ones
MOST_NEIGHBOURS: Final = 100


class Covisitation:
    """Items of the same sessions by their cosine, each pair counting half after six hours."""

    def __init__(self) -> None:
        self._pairs: dict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
        self._items: dict[int, tuple[float, int]] = {}

    def add(self, now_ms: int, visitor: Visitor, row: int) -> None:
        """Take in that a user, as he was before, chose this."""
        self._items[row] = (1 + _now(self._items.get(row), now_ms), now_ms)
        for other in visitor.session:
            if other != row:
                for one, with_it in ((row, other), (other, row)):
                    weight = 1 + _now(self._pairs[one].get(with_it), now_ms)
                    self._pairs[one][with_it] = (weight, now_ms)

    def scores(self, now_ms: int, visitor: Visitor) -> dict[int, float]:
        """The rows that it proposes to a user, with their scores."""
        scores: dict[int, float] = defaultdict(float)
        for row in visitor.session:
            own = _now(self._items.get(row), now_ms)
            for other, pair in self._pairs.get(row, {}).items():
                of_other = own * _now(self._items.get(other), now_ms)
                scores[other] += _now(pair, now_ms) / math.sqrt(of_other) if of_other > 0 else 0.0
        return scores


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


def _now(pair: tuple[float, int] | None, now_ms: int) -> float:
    """What a weight of another time counts now."""
    return pair[0] * 0.5 ** ((now_ms - pair[1]) / HALF_LIFE_MS) if pair else 0.0
