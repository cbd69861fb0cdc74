"""What is kept of the test's predictions: sketches per label and slice, and the samples of one day.

Q rows   J labels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.evaluation.visibility import Observed, day_of
from headrace.keys import key
from headrace.metrics import Scores
from headrace.metrics.grouped import GroupedScores

NEW: Final = 5  # impressions so far of a user or item that is still new
SLICES: Final = ("new_users", "new_items")


class LabelQuality:
    """One label: over all rows, over the slices, and within each user's day."""

    def __init__(self) -> None:
        self.overall, self.within_day = Scores(), GroupedScores()
        self.slices = {name: Scores() for name in SLICES}
        self._sum_auc, self._num_ranked = 0.0, 0  # of the days that are over

    def end_day(self) -> None:
        """Keep what the day's samples come to, and not the samples."""
        auc_N = self.within_day.sample_auc()
        self._sum_auc += float(np.nansum(auc_N))
        self._num_ranked += int((~np.isnan(auc_N)).sum())
        self.within_day = GroupedScores()

    @property
    def gauc(self) -> float:
        """The mean AUC of the user-days that are over, weighted by their samples; NaN without."""
        return self._sum_auc / self._num_ranked if self._num_ranked else float("nan")

    def report(self) -> dict[str, Any]:
        """The numbers of all rows; GAUC is per user-day, with the user as of midnight."""
        deciles = self.overall.calibration_by_decile()
        return {
            **numbers(self.overall),
            "gauc": _number(self.gauc),
            "calibration_by_decile": [_number(decile.calibration) for decile in deciles],
        }


class Quality:
    """What each label's predictions were worth."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = {label: LabelQuality() for label in labels}
        self._day = -1

    def add(
        self, rows: Sequence[Observed], p_QJ: NDArray[Any], p_at_midnight_QJ: NDArray[Any]
    ) -> None:
        """Take in predictions, those with the users of now and those with the users of midnight.

        Rows come in the order of time.
        """
        day_of_Q = np.array([day_of(row.impression.time_ms) for row in rows])
        for day in np.unique(day_of_Q).tolist():
            if day > self._day:
                self._end_day()
                self._day = day
            place_K = np.flatnonzero(day_of_Q == day)
            of_day = [rows[place] for place in place_K.tolist()]
            self._add(of_day, p_QJ[place_K], p_at_midnight_QJ[place_K])

    def _add(
        self, rows: Sequence[Observed], p_QJ: NDArray[Any], p_at_midnight_QJ: NDArray[Any]
    ) -> None:
        label_QJ = np.array([row.impression.label_J for row in rows], np.float32)
        user_Q = np.array([key(row.impression.event.user_id) for row in rows], np.int64)
        is_new = {
            "new_users": np.array([row.num_of_user <= NEW for row in rows]),
            "new_items": np.array([row.num_of_item <= NEW for row in rows]),
        }
        for place, of_label in enumerate(self.labels.values()):
            p_Q, label_Q = p_QJ[:, place], label_QJ[:, place]
            of_label.overall.add(p_Q, label_Q)
            at_midnight_Q = p_at_midnight_QJ[:, place].astype(np.float64)
            of_label.within_day.add(user_Q, at_midnight_Q, label_Q.astype(np.float64))
            for name, new_Q in is_new.items():
                of_label.slices[name].add(p_Q[new_Q], label_Q[new_Q])

    def _end_day(self) -> None:
        for of_label in self.labels.values():
            of_label.end_day()

    def report(self) -> dict[str, Any]:
        """`labels.<label>` and `slices.<slice>.<label>`; null where a number is not defined."""
        self._end_day()
        return {
            "labels": {label: one.report() for label, one in self.labels.items()},
            "slices": {
                name: {label: numbers(one.slices[name]) for label, one in self.labels.items()}
                for name in SLICES
            },
        }


def numbers(scores: Scores) -> dict[str, Any]:
    """The quality of some predictions, and how many they were."""
    return {
        "samples": scores.num_samples,
        "auc": _number(scores.auc),
        "normalized_entropy": _number(scores.normalized_entropy),
        "calibration": _number(scores.calibration),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)
