"""The figures of predictions: decisions, lists, and intervals by draws of users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, ndcg_score, precision_score, recall_score

from headrace.evaluation.quality import Measures, Quality
from headrace.evaluation.row import TEST

NUM_ROWS, NUM_ITEMS, NUM_USERS, NUM_DAYS = 300, 4, 25, 3


@dataclass(frozen=True)
class Request:
    """A row of an evaluation: one request of some items, as it is judged."""

    day: int
    user_key: int
    label_NJ: NDArray[np.float32]
    time_ms: int = 0
    visible_ms: int = 0
    split: str = TEST
    num_of_user: int = 9
    num_of_items: tuple[int, ...] = (9,) * NUM_ITEMS


def requests(seed: int = 0) -> tuple[list[Request], NDArray[np.float32]]:
    """Requests in the order of days, and predictions [C, 1] that are worth something."""
    draw = np.random.default_rng(seed)
    label_RN = (draw.random((NUM_ROWS, NUM_ITEMS)) < 0.4).astype(np.float32)
    rows = [
        Request(n * NUM_DAYS // NUM_ROWS, int(draw.integers(NUM_USERS)), label_N[:, None])
        for n, label_N in enumerate(label_RN)
    ]
    noise_RN = draw.normal(0, 1, label_RN.shape)
    p_C1 = (1 / (1 + np.exp(0.5 - label_RN - noise_RN))).reshape(-1, 1).astype(np.float32)
    return rows, p_C1


def judged(measures: Measures, size: int = 32) -> dict[str, object]:
    rows, p_C1 = requests()
    quality = Quality(["click"], measures)
    for start in range(0, NUM_ROWS, size):
        part = p_C1[start * NUM_ITEMS : (start + size) * NUM_ITEMS]
        quality.add(rows[start : start + size], part, part)
    click: dict[str, object] = quality.report()["labels"]["click"]
    return click


def test_decisions_agree_with_scikit_learn() -> None:
    rows, p_C1 = requests()
    label_C = np.concatenate([row.label_NJ[:, 0] for row in rows])
    click, decided_C = judged(Measures(threshold=0.6)), p_C1[:, 0] >= 0.6
    for name, of in {
        "accuracy": accuracy_score,
        "precision": precision_score,
        "recall": recall_score,
        "f1": f1_score,
    }.items():
        assert click[name] == pytest.approx(of(label_C, decided_C), abs=1e-5), name


def test_the_lists_of_a_log_of_requests_are_its_requests() -> None:
    rows, p_C1 = requests()
    label_RN = np.stack([row.label_NJ[:, 0] for row in rows])
    some_R = label_RN.any(1)
    expected = ndcg_score(label_RN[some_R], p_C1.reshape(label_RN.shape)[some_R], k=2)
    click = judged(Measures(top=2, lists_of_days=False))
    assert click["ndcg_at_k"] == pytest.approx(expected, abs=1e-5)
    assert click["lists"] == some_R.sum()


def test_the_lists_of_any_other_log_are_its_users_days() -> None:
    rows, _ = requests()
    days = {(row.user_key, row.day) for row in rows if row.label_NJ.any()}
    assert judged(Measures())["lists"] == len(days)


@pytest.mark.parametrize("lists_of_days", [True, False])
def test_intervals_are_those_of_users_drawn_with_replacement(lists_of_days: bool) -> None:
    click = judged(Measures(lists_of_days=lists_of_days, num_draws=400))
    intervals = click["intervals"]
    assert isinstance(intervals, dict)
    for name, (low, high) in intervals.items():
        figure = click[name]
        assert isinstance(figure, float) and low <= figure <= high, name
    rows, p_C1 = requests()
    user_R = np.array([row.user_key for row in rows])
    label_RN = np.stack([row.label_NJ[:, 0] for row in rows])
    right_R = ((p_C1[:, 0] >= 0.5).reshape(label_RN.shape) == label_RN).mean(1)
    draw = np.random.default_rng(7)
    drawn = [
        np.concatenate([right_R[user_R == u] for u in draw.integers(0, NUM_USERS, NUM_USERS)])
        for _ in range(400)
    ]
    expected = np.quantile([one.mean() for one in drawn], [0.025, 0.975])
    assert intervals["accuracy"] == pytest.approx(expected, abs=0.01)


def test_how_rows_are_batched_changes_nothing() -> None:
    measures = Measures(lists_of_days=False, num_draws=20)
    assert judged(measures, size=7) == judged(measures, size=300)
