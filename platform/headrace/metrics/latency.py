"""Latencies: a mergeable histogram of durations, 1 ms to a day, each bin 5 % wide."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

_GROWTH = 1.05
NUM_BINS = 1 + math.ceil(math.log(86_400_000 * 100) / math.log(_GROWTH))
_FINEST_MS = 0.01
_BOUNDS = range(98, 326, 7)  # bins at which buckets end: 1.2 ms to 74 s, each 1.41 times the last


class Latencies:
    """Durations in ms; percentiles are exact to 5 %."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self._counts: dict[int, int] = dict(counts or {})

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, duration_ms: float) -> None:
        """Take in one duration; negative ones (clocks that disagree) count as the shortest."""
        ratio = max(duration_ms / _FINEST_MS, 1.0)
        number = min(int(math.log(ratio) / math.log(_GROWTH)), NUM_BINS - 1)
        self._counts[number] = self._counts.get(number, 0) + 1

    def extend(self, durations_ms: ArrayLike) -> None:
        """Take in many durations at once."""
        ratios = np.maximum(np.asarray(durations_ms, np.float64) / _FINEST_MS, 1.0)
        bins = np.minimum(np.log(ratios) / math.log(_GROWTH), NUM_BINS - 1).astype(np.int64)
        for number, count in zip(*np.unique(bins, return_counts=True), strict=True):
            self._counts[int(number)] = self._counts.get(int(number), 0) + int(count)

    def percentile(self, share: float) -> float:
        """The duration in ms that `share` (0 to 1) of all do not exceed; NaN without any."""
        wanted, seen = share * len(self), 0
        for number in sorted(self._counts):
            seen += self._counts[number]
            if seen >= wanted:
                return float(_FINEST_MS * _GROWTH ** (number + 0.5))
        return math.nan

    def buckets(self) -> list[tuple[float, int]]:
        """(bound in ms, how many did not exceed it) for bounds of about 1 ms to a minute."""
        return [
            (_FINEST_MS * _GROWTH**bound, sum(n for b, n in self._counts.items() if b < bound))
            for bound in _BOUNDS
        ]

    @property
    def total_ms(self) -> float:
        """The sum of the durations, exact to 5 %."""
        middles = ((_FINEST_MS * _GROWTH ** (b + 0.5), n) for b, n in self._counts.items())
        return float(sum(middle_ms * num for middle_ms, num in middles))

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
