"""The figures of lists: HR, MRR and NDCG of their first places, by groups of users."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np

ALL, NEW, WARM = "all", "new", "warm"
GROUPS: Final = (ALL, NEW, WARM)


def values(rows: Sequence[int], relevant: AbstractSet[int], top: int) -> tuple[float, float, float]:
    """Whether something relevant is among the first places, the reciprocal rank of the first such
    row, and the gain over that of the best list."""
    ranks = [rank for rank, row in enumerate(rows[:top], 1) if row in relevant]
    if not ranks:
        return 0.0, 0.0, 0.0
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(len(relevant), top) + 1))
    return 1.0, 1 / ranks[0], sum(1 / math.log2(1 + rank) for rank in ranks) / ideal


class Figures:
    """The figures of several lists on the same points."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._values: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        self._is_warm: list[bool] = []

    def add(
        self, lists: dict[str, Sequence[int]], relevant: AbstractSet[int], is_warm: bool
    ) -> None:
        """Take in the lists of a point."""
        self._is_warm.append(is_warm)
        for name, rows in lists.items():
            self._values[name].append(values(rows, relevant, self._top))

    def report(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By list and group: `points`, `hr10`, `mrr10`, `ndcg10`, null without a point; the number
        is that of the places."""
        is_warm_P = np.array(self._is_warm, np.bool_)
        masks = {ALL: np.ones(len(is_warm_P), np.bool_), NEW: ~is_warm_P, WARM: is_warm_P}
        return {
            name: {group: self._of(found, masks[group]) for group in GROUPS}
            for name, found in self._values.items()
        }

    def _of(
        self, found: Sequence[tuple[float, float, float]], is_in_P: np.ndarray[Any, Any]
    ) -> dict[str, Any]:
        value_P3 = np.array(found).reshape(-1, 3)[is_in_P]
        mean_3 = value_P3.mean(0).tolist() if len(value_P3) else [None] * 3
        names = (f"{name}{self._top}" for name in ("hr", "mrr", "ndcg"))
        rounded = (None if mean is None else round(mean, 5) for mean in mean_3)
        return {"points": len(value_P3), **dict(zip(names, rounded, strict=True))}
