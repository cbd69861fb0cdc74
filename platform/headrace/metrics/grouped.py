"""Grouped AUC (GAUC): the AUC within each group, for example within a user's day. Exact.

N samples   T distinct scores of a group   G groups
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_STEP = np.int64(0x1E3779B97F4A7C15)  # odd and large: days of neighbouring users stay apart


class Samples(NamedTuple):
    """Group, score and label (0 or 1) of N samples."""

    group_N: Keys
    score_N: NDArray[np.float32]
    label_N: NDArray[np.bool_]


class GroupedScores:
    """AUC of each group, weighted by the group's samples; groups of one class have none.

    It keeps 13 bytes per sample, because a group may have samples at several workers: bound it by
    the window that it stands for.
    """

    def __init__(self) -> None:
        self._parts: list[Samples] = []

    def add(self, group_N: Keys, score_N: Floats, label_N: Floats) -> None:
        """Take in N samples: the key of the group, the score and the label (0 or 1) of each."""
        samples = Samples(group_N.copy(), score_N.astype(np.float32), label_N.astype(np.bool_))
        self._parts.append(samples)

    def merge(self, other: GroupedScores) -> None:
        """Take in the samples of another one; groups of the same key are one."""
        self._parts = [*self._parts, *other._parts]

    @property
    def num_samples(self) -> int:
        return sum(len(part.group_N) for part in self._parts)

    @property
    def num_groups(self) -> int:
        """The groups that have both classes, and so an AUC."""
        return len(np.unique(self.samples().group_N[~np.isnan(self.sample_auc())]))

    @property
    def gauc(self) -> float:
        """The mean AUC of the groups, weighted by their samples; NaN without any."""
        auc_N = self.sample_auc()
        defined = auc_N[~np.isnan(auc_N)]
        return float(defined.mean()) if len(defined) else float("nan")

    def sample_auc(self) -> Floats:
        """[N]: for each sample, in order of arrival, the AUC of its group."""
        return group_auc(*self.samples())

    def samples(self) -> Samples:
        """The samples, in order of arrival."""
        empty = Samples(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.bool_))
        columns = zip(empty, *self._parts, strict=True)
        return Samples(*(np.concatenate(column) for column in columns))


def user_day(user_N: Keys, day_N: Keys) -> Keys:
    """A group key for each user and day, by the key of the one and the number of the other."""
    return user_N + day_N * DAY_STEP


def group_auc(group_N: Keys, score_N: NDArray[Any], label_N: NDArray[Any]) -> Floats:
    """[N]: for each sample the AUC of its group, NaN where that has one class only.

    Ties count half. One group for all is the exact AUC.
    """
    order_N = np.lexsort((score_N, group_N))
    group_N, score_N, label_N = group_N[order_N], score_N[order_N], label_N[order_N]
    new_group_N = _begins(group_N)
    group_N = np.cumsum(new_group_N) - 1
    new_score_N = new_group_N | _begins(score_N)
    group_T, tie_N = group_N[new_score_N], np.cumsum(new_score_N) - 1
    positive_T = np.bincount(tie_N, label_N)
    negative_T = np.bincount(tie_N) - positive_T
    negative_G, positive_G = np.bincount(group_T, negative_T), np.bincount(group_T, positive_T)
    before_G = np.cumsum(negative_G) - negative_G
    below_T = np.cumsum(negative_T) - negative_T - before_G[group_T]
    won_G = np.bincount(group_T, positive_T * (below_T + negative_T / 2))
    pairs_G = negative_G * positive_G
    auc_G = np.divide(won_G, pairs_G, out=np.full(len(pairs_G), np.nan), where=pairs_G != 0)
    auc_N = np.empty(len(order_N))
    auc_N[order_N] = auc_G[group_N]
    return auc_N


def _begins(sorted_N: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it; the first always does."""
    begins_N = np.ones(len(sorted_N), dtype=np.bool_)
    begins_N[1:] = sorted_N[1:] != sorted_N[:-1]
    return begins_N
