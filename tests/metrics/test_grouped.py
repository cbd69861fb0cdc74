"""AUC within groups: against scikit-learn group by group, and that parts add up to the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from headrace.metrics.grouped import GroupedScores, group_auc, user_day

Row = tuple[int, float, int]

scores = st.sampled_from([-1.5, 0.0, 0.25, 0.5, 3.0]) | st.floats(-5, 5, width=32)
rows = st.lists(st.tuples(st.integers(-2, 5), scores, st.integers(0, 1)), max_size=60)


def grouped(rows: Sequence[Row]) -> GroupedScores:
    group_N, score_N, label_N = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    scores = GroupedScores()
    scores.add(group_N.astype(np.int64), score_N, label_N)
    return scores


def reference(rows: Sequence[Row]) -> float:
    won, total = 0.0, 0
    for group in {row[0] for row in rows}:
        members = [row for row in rows if row[0] == group]
        label, score = [row[2] for row in members], [row[1] for row in members]
        if len(set(label)) == 2:
            won += roc_auc_score(label, score) * len(members)
            total += len(members)
    return won / total if total else math.nan


@given(rows)
def test_gauc_is_the_mean_of_the_groups_auc_by_samples(rows: list[Row]) -> None:
    assert grouped(rows).gauc == pytest.approx(reference(rows), rel=1e-9, nan_ok=True)


@given(rows, st.integers(0, 60))
def test_parts_of_a_group_at_two_workers_add_up(rows: list[Row], cut: int) -> None:
    merged, other = grouped(rows[:cut]), grouped(rows[cut:])
    merged.merge(other)
    assert merged.gauc == pytest.approx(grouped(rows).gauc, rel=1e-12, nan_ok=True)
    assert merged.num_groups == grouped(rows).num_groups
    assert merged.num_samples == len(rows)
    assert other.num_samples == len(rows[cut:])


@given(rows.filter(lambda rows: len({row[2] for row in rows}) == 2))
def test_one_group_for_all_is_the_exact_auc(rows: list[Row]) -> None:
    _, score_N, label_N = np.array(rows, dtype=np.float64).T
    auc_N = group_auc(np.zeros(len(rows), dtype=np.int64), score_N, label_N)
    assert auc_N == pytest.approx(np.full(len(rows), roc_auc_score(label_N, score_N)))


def test_groups_of_one_class_have_no_auc() -> None:
    scores = grouped([(1, 0.5, 0), (2, 0.1, 1), (1, 0.7, 0), (3, 0.1, 0), (3, 0.2, 1)])
    assert np.isnan(scores.sample_auc()).tolist() == [True, True, True, False, False]
    assert (scores.gauc, scores.num_groups) == (1.0, 1)
    assert math.isnan(grouped([(1, 0.5, 0)]).gauc) and math.isnan(GroupedScores().gauc)
    assert GroupedScores().num_groups == 0


def test_what_was_taken_in_does_not_change_with_its_source() -> None:
    group_N, score_N, label_N = np.array([1, 1]), np.array([0.1, 0.2]), np.array([0.0, 1.0])
    scores = GroupedScores()
    scores.add(group_N, score_N, label_N)
    group_N[:], score_N[:], label_N[:] = 2, 0.0, 0.0
    assert scores.gauc == 1.0


@given(st.lists(st.tuples(st.integers(1, 2**63 - 1) | st.integers(1, 9), st.integers(0, 800_000))))
def test_each_user_and_day_is_a_group_of_its_own(pairs: list[tuple[int, int]]) -> None:
    user_N, day_N = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    assert len(set(user_day(user_N, day_N).tolist())) == len(set(pairs))
