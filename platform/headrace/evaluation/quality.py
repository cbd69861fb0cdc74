"""The quality of the test's predictions: sketches per label and slice, and one day's samples.

Q rows   C impressions of all rows   J labels   L lists
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.evaluation.intervals import Predictions
from headrace.evaluation.row import Row
from headrace.metrics import NEW, Scores
from headrace.metrics.confusion import Confusion
from headrace.metrics.grouped import GroupedScores
from headrace.metrics.ranking import ListValues, RankedLists, list_values

SLICES: Final = ("new_users", "new_items")


@dataclass(frozen=True, slots=True)
class Measures:
    """The parameters of the metrics: cutoff and kind of lists, decision threshold, bootstrap draws.

    A list is what one request showed, or with `lists_of_days` everything that a user saw in a day.
    Intervals come from so many draws of users; without any there are none, and nothing is kept.
    """

    top: int = 10  # places of a list that count
    threshold: float = 0.5  # of the probability from which on the action is decided to come
    lists_of_days: bool = True
    num_draws: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """The predictions, labels, users and slices of some impressions of one day, as columns."""

    day: int
    row_C: NDArray[np.int64]
    user_C: NDArray[np.int64]
    p_C: NDArray[Any]
    p_at_midnight_C: NDArray[Any]
    label_C: NDArray[Any]
    is_new: dict[str, NDArray[np.bool_]]

    def take(self, known_C: NDArray[np.bool_]) -> Columns:
        """These of the impressions."""
        return Columns(
            self.day,
            self.row_C[known_C],
            self.user_C[known_C],
            self.p_C[known_C],
            self.p_at_midnight_C[known_C],
            self.label_C[known_C],
            {name: new_C[known_C] for name, new_C in self.is_new.items()},
        )


class LabelQuality:
    """One label: over all impressions, over the slices, within each user's day, and in lists."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self.overall, self.within_day = Scores(), GroupedScores()
        self.slices = {name: Scores() for name in SLICES}
        self.decisions, self.lists = Confusion(), RankedLists(measures.top)
        self._predictions = Predictions()
        self._sum_auc, self._num_ranked = 0.0, 0  # of the days that are over

    def add(self, of: Columns) -> None:
        """Take in impressions of one day, those of a row together."""
        of = of.take(~np.isnan(of.label_C))
        self.overall.add(of.p_C, of.label_C)
        for name, new_C in of.is_new.items():
            self.slices[name].add(of.p_C[new_C], of.label_C[new_C])
        p_at_midnight_C = of.p_at_midnight_C.astype(np.float64)
        self.within_day.add(of.user_C, p_at_midnight_C, of.label_C.astype(np.float64))
        decided_C = (of.p_C >= self._measures.threshold).astype(np.int64)
        self.decisions.add(decided_C, of.label_C.astype(np.int64))
        if not self._measures.lists_of_days:
            self._add_lists(of.row_C, of.user_C, of.p_C, of.label_C)
        if self._measures.num_draws:
            self._predictions.parts.append(
                (
                    of.user_C,
                    np.full(len(of.user_C), of.day),
                    of.p_C.astype(np.float64),
                    p_at_midnight_C,
                    of.label_C.astype(np.float64),
                )
            )

    def end_day(self) -> None:
        """Aggregate the day's samples into the metrics, and drop them."""
        auc_N = self.within_day.sample_auc()
        self._sum_auc += float(np.nansum(auc_N))
        self._num_ranked += int((~np.isnan(auc_N)).sum())
        if self._measures.lists_of_days:
            user_N, score_N, label_N = self.within_day.samples()
            self._add_lists(user_N, user_N, score_N, label_N)
        self.within_day = GroupedScores()

    def _add_lists(
        self,
        list_C: NDArray[np.int64],
        user_C: NDArray[np.int64],
        score_C: NDArray[Any],
        label_C: NDArray[Any],
    ) -> None:
        """Take in whole lists."""
        values = list_values(list_C, score_C, label_C, self._measures.top)
        self.lists.add_values(values, len(np.unique(list_C)))
        if self._measures.num_draws:
            self._predictions.lists.append((_users_of(values, list_C, user_C), values))

    @property
    def gauc(self) -> float:
        """The mean AUC of the user-days that are over, weighted by their samples; NaN without."""
        return self._sum_auc / self._num_ranked if self._num_ranked else float("nan")

    def report(self) -> dict[str, Any]:
        """The numbers of all impressions; GAUC is per user-day, with the user as of midnight."""
        deciles = self.overall.calibration_by_decile()
        decisions = self.decisions
        ranked = {
            "recall_at_k": self.lists.recall,
            "ndcg_at_k": self.lists.ndcg,
            "mrr": self.lists.mrr,
            "accuracy": decisions.accuracy,
            "precision": float(decisions.precision_K[1]),
            "recall": float(decisions.recall_K[1]),
            "f1": float(decisions.f1_K[1]),
        }
        return {
            **numbers(self.overall),
            "gauc": _number(self.gauc),
            **{name: _number(value) for name, value in ranked.items()},
            "lists": self.lists.num_relevant,
            "calibration_by_decile": [_number(decile.calibration) for decile in deciles],
            **self._intervals(),
        }

    def _intervals(self) -> dict[str, Any]:
        measures = self._measures
        if not measures.num_draws or not self.overall.num_samples:
            return {}
        found = self._predictions.intervals(measures.threshold, measures.num_draws)
        return {"intervals": {name: [_number(x) for x in of] for name, of in found.items()}}


def _users_of(
    values: ListValues, list_C: NDArray[np.int64], user_C: NDArray[np.int64]
) -> NDArray[np.int64]:
    """[L]: whose each list is."""
    list_A, first_A = np.unique(list_C, return_index=True)
    return user_C[first_A[np.searchsorted(list_A, values.key_L)]]


class Quality:
    """The quality of the predictions of each label."""

    def __init__(self, labels: Sequence[str], measures: Measures | None = None) -> None:
        self.measures = measures or Measures()
        self.labels = {label: LabelQuality(self.measures) for label in labels}
        self._day = -1

    def add(self, rows: Sequence[Row], p_CJ: NDArray[Any], p_at_midnight_CJ: NDArray[Any]) -> None:
        """Take in predictions, those with the users of now and those with the users of midnight.

        Rows come in the order of time.
        """
        day_Q, size_Q = (
            np.array(column, np.int64)
            for column in zip(*((row.day, len(row.num_of_items)) for row in rows), strict=True)
        )
        row_C = np.repeat(np.arange(len(rows)), size_Q)
        for day in np.unique(day_Q).tolist():
            if day > self._day:
                self._end_day()
                self._day = day
            place_K = np.flatnonzero(day_Q == day)
            of_day = [rows[place] for place in place_K.tolist()]
            of_C = np.flatnonzero(day_Q[row_C] == day)
            self._add(of_day, p_CJ[of_C], p_at_midnight_CJ[of_C])

    def _add(self, rows: Sequence[Row], p_CJ: NDArray[Any], p_at_midnight_CJ: NDArray[Any]) -> None:
        size_Q = [len(row.num_of_items) for row in rows]
        label_CJ = np.concatenate([row.label_NJ for row in rows])
        num_of_user_C = np.repeat([row.num_of_user for row in rows], size_Q)
        num_of_item_C = np.array([num for row in rows for num in row.num_of_items])
        is_new = {"new_users": num_of_user_C <= NEW, "new_items": num_of_item_C <= NEW}
        row_C = np.repeat(np.arange(len(rows)), size_Q)
        user_C = np.repeat(np.array([row.user_key for row in rows], np.int64), size_Q)
        for place, of_label in enumerate(self.labels.values()):
            columns = (p_CJ[:, place], p_at_midnight_CJ[:, place], label_CJ[:, place])
            of_label.add(Columns(rows[0].day, row_C, user_C, *columns, is_new))

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
            "top": self.measures.top,
            "threshold": self.measures.threshold,
            "list": "user-day" if self.measures.lists_of_days else "request",
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
