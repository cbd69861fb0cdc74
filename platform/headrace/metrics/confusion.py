"""Metrics of decisions: how often each class was taken for which. Exact.

K classes   N samples
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Confusion:
    """Counts by true and by decided class. Everything is NaN where it is not defined.

    For a binary decision K is 2, and `precision_K[1]` is the precision of the positive class.
    """

    def __init__(self, num_classes: int = 2) -> None:
        self.count_KK: NDArray[np.int64] = np.zeros((num_classes, num_classes), dtype=np.int64)

    def add(self, decided_N: NDArray[np.int64], label_N: NDArray[np.int64]) -> None:
        """Take in N decisions and their true classes, both from 0 to K - 1."""
        num_classes = len(self.count_KK)
        pair_N = label_N.astype(np.int64) * num_classes + decided_N
        counts = np.bincount(pair_N, minlength=num_classes**2)
        self.count_KK += counts.reshape(num_classes, num_classes)

    def merge(self, other: Confusion) -> None:
        """Take in the counts of another one."""
        self.count_KK += other.count_KK

    @property
    def accuracy(self) -> float:
        """The share of decisions that were right."""
        return float(_ratio(np.trace(self.count_KK), self.count_KK.sum()))

    @property
    def precision_K(self) -> Floats:
        """Of those decided to be of a class, the share that is."""
        return _ratio(self.count_KK.diagonal(), self.count_KK.sum(0))

    @property
    def recall_K(self) -> Floats:
        """Of those of a class, the share that was decided to be."""
        return _ratio(self.count_KK.diagonal(), self.count_KK.sum(1))

    @property
    def f1_K(self) -> Floats:
        """The harmonic mean of precision and recall; NaN for a class that never occurs."""
        return _ratio(2 * self.count_KK.diagonal(), self.count_KK.sum(0) + self.count_KK.sum(1))


def macro(value_K: Floats) -> float:
    """The mean over the classes for which the value is defined; NaN if there is none."""
    defined = value_K[~np.isnan(value_K)]
    return float(defined.mean()) if len(defined) else float("nan")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    ratio = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=ratio, where=np.asarray(whole) != 0)
    return ratio
