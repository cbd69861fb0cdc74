"""Latencies: a mergeable histogram of durations, 1 ms to a day, each bin 5 % wide."""

from __future__ import annotations

import math
from collections.abc import Iterable

_GROWTH = 1.05
_NUM_BINS = 1 + math.ceil(math.log(86_400_000 * 100) / math.log(_GROWTH))
_FINEST_MS = 0.01


class Latencies:
    """Durations in ms; percentiles are exact to 5 %."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self._counts: dict[int, int] = dict(counts or {})

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, duration_ms: float) -> None:
        """Take in one duration; negative ones (clocks that disagree) count as the shortest."""
        ratio = max(duration_ms / _FINEST_MS, 1.0)
        number = min(int(math.log(ratio) / math.log(_GROWTH)), _NUM_BINS - 1)
        self._counts[number] = self._counts.get(number, 0) + 1

    def percentile(self, share: float) -> float:
        """The duration in ms that `share` (0 to 1) of all do not exceed; NaN without any."""
        wanted, seen = share * len(self), 0
        for number in sorted(self._counts):
            seen += self._counts[number]
            if seen >= wanted:
                return float(_FINEST_MS * _GROWTH ** (number + 0.5))
        return math.nan

    def to_pairs(self) -> list[tuple[int, int]]:
        """The histogram as (bin, count) pairs, for a store."""
        return sorted(self._counts.items())

    @classmethod
    def merged(cls, histograms: Iterable[Iterable[tuple[int, int]]]) -> Latencies:
        """The histogram of everything that these `to_pairs` histograms saw."""
        merged = cls()
        for pairs in histograms:
            for number, count in pairs:
                merged._counts[number] = merged._counts.get(number, 0) + count
        return merged
