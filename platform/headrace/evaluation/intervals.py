"""How sure the figures of an evaluation are: 95 % intervals by a bootstrap over users.

N impressions   L lists   D draws   U users
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headrace.metrics import bootstrap
from headrace.metrics.bootstrap import Draws, Floats, Interval, ratio
from headrace.metrics.grouped import group_auc, user_day
from headrace.metrics.ranking import ListValues

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Predictions:
    """One label's predictions and lists, all of them: 40 bytes an impression."""

    parts: list[tuple[Ints, Ints, Floats, Floats, Floats]] = field(default_factory=list)
    lists: list[tuple[Ints, ListValues]] = field(default_factory=list)  # with the users of lists

    def intervals(self, threshold: float, num_draws: int) -> dict[str, Interval]:
        """By figure; the same draws for each."""
        user_N, day_N, p_N, p_at_midnight_N, label_N = map(
            np.concatenate, zip(*self.parts, strict=True)
        )
        draws = Draws.of(user_N, num_draws)
        auc_N = group_auc(user_day(user_N, day_N), p_at_midnight_N, label_N > 0)
        of_each = {
            "auc": bootstrap.auc(p_N, label_N, draws),
            "gauc": bootstrap.mean(auc_N, draws),
            "normalized_entropy": bootstrap.normalized_entropy(p_N, label_N, draws),
            "calibration": ratio(draws.sums(p_N), draws.sums(label_N)),
            **_of_decisions((p_N >= threshold).astype(np.float64), label_N, draws),
            **self._of_lists(draws, np.unique(user_N)),
        }
        return {name: bootstrap.interval(value_D) for name, value_D in of_each.items()}

    def _of_lists(self, draws: Draws, user_U: Ints) -> dict[str, Floats]:
        if not self.lists:
            return {}
        user_L = np.searchsorted(user_U, np.concatenate([users for users, _ in self.lists]))
        of_lists = Draws(user_L, draws.weight_DU)
        names = {"recall_at_k": "recall_L", "ndcg_at_k": "ndcg_L", "mrr": "reciprocal_rank_L"}
        return {
            name: bootstrap.mean(
                np.concatenate([getattr(values, column) for _, values in self.lists]), of_lists
            )
            for name, column in names.items()
        }


def _of_decisions(decided_N: Floats, label_N: Floats, draws: Draws) -> dict[str, Floats]:
    right_D = draws.sums((decided_N == label_N).astype(np.float64))
    found_D, decided_D = draws.sums(decided_N * label_N), draws.sums(decided_N)
    positive_D = draws.sums(label_N)
    return {
        "accuracy": ratio(right_D, draws.sums(np.ones(len(label_N)))),
        "precision": ratio(found_D, decided_D),
        "recall": ratio(found_D, positive_D),
        "f1": ratio(2 * found_D, decided_D + positive_D),
    }
