"""Ranked lists: against scikit-learn, against a plain loop, and that parts add up to the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from headrace.metrics.ranking import RankedLists, list_values

Row = tuple[int, float, int]

rows = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 3)),
    max_size=40,
)


def ranked(rows: list[Row], k: int) -> RankedLists:
    list_N, score_N, gain_N = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    lists = RankedLists(k)
    lists.add(list_N.astype(np.int64), score_N, gain_N)
    return lists


def reference(rows: list[Row], k: int) -> tuple[int, list[tuple[float, float, float]]]:
    """Recall, NDCG and reciprocal rank of each list with something relevant, the slow way."""
    lists = {row[0] for row in rows}
    values = []
    for one in sorted(lists):
        gains = [g for _, g in sorted((-s, g) for number, s, g in rows if number == one)]
        if not any(gains):
            continue
        found = sum(g > 0 for g in gains[:k]) / sum(g > 0 for g in gains)
        first = next(rank for rank, g in enumerate(gains, 1) if g)
        values.append((found, dcg(gains, k) / dcg(sorted(gains, reverse=True), k), 1 / first))
    return len(lists), values


def dcg(gains: list[int], k: int) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gains[:k], 1))


@given(rows, st.integers(1, 12))
def test_the_metrics_are_the_means_over_lists(rows: list[Row], k: int) -> None:
    lists, (num_lists, values) = ranked(rows, k), reference(rows, k)
    assert (lists.num_lists, lists.num_relevant) == (num_lists, len(values))
    means = [sum(column) / len(values) for column in zip(*values, strict=True)] or [math.nan] * 3
    assert [lists.recall, lists.ndcg, lists.mrr] == pytest.approx(means, nan_ok=True)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_metrics_agree_with_scikit_learn(k: int) -> None:
    random = np.random.default_rng(k)
    score_LA, gain_LA = random.random((30, 20)), random.integers(0, 4, (30, 20))
    values = list_values(np.repeat(np.arange(30), 20), score_LA.ravel(), gain_LA.ravel(), k)
    assert values.ndcg_L.mean() == pytest.approx(ndcg_score(gain_LA, score_LA, k=k))
    one_LA = (gain_LA == gain_LA.max(1, keepdims=True)).cumsum(1).cumsum(1) == 1
    lists = RankedLists(k)
    lists.add(np.repeat(np.arange(30), 20), score_LA.ravel(), one_LA.ravel())
    # With one relevant candidate a list, average precision is the reciprocal rank.
    assert lists.mrr == pytest.approx(label_ranking_average_precision_score(one_LA, score_LA))


@given(rows, rows, st.integers(1, 12))
def test_merged_parts_equal_the_whole(first: list[Row], second: list[Row], k: int) -> None:
    second = [(number + 5, score, gain) for number, score, gain in second]
    merged, whole = ranked(first, k), ranked(first + second, k)
    merged.merge(ranked(second, k))
    assert (merged.num_lists, merged.num_relevant) == (whole.num_lists, whole.num_relevant)
    for name in ("recall", "ndcg", "mrr"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), nan_ok=True)


def test_saying_nothing_is_worth_nothing() -> None:
    lists = ranked([(1, 0.5, 1), (1, 0.5, 0), (1, 0.5, 0), (1, 0.5, 0)], k=2)
    assert (lists.recall, lists.ndcg, lists.mrr) == (0.0, 0.0, 0.25)


def test_what_is_not_defined_is_nan() -> None:
    for lists in (RankedLists(5), ranked([], 5), ranked([(1, 0.5, 0), (2, 0.1, 0)], 5)):
        assert lists.num_relevant == 0
        assert all(math.isnan(value) for value in (lists.recall, lists.ndcg, lists.mrr))
