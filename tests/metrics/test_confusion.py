"""Decisions: the metrics against scikit-learn, and that parts add up to the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from headrace.metrics.confusion import Confusion, macro

K = 4
pairs = st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), max_size=40)


def counted(pairs: list[tuple[int, int]], num_classes: int = K) -> Confusion:
    decided_N, label_N = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    confusion = Confusion(num_classes)
    confusion.add(decided_N, label_N)
    return confusion


@given(pairs.filter(len))
def test_the_metrics_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    confusion, (decided, label) = counted(pairs), zip(*pairs, strict=True)
    expected = precision_recall_fscore_support(
        label, decided, labels=range(K), zero_division=math.nan
    )
    for value_K, expected_K in zip(
        (confusion.precision_K, confusion.recall_K, confusion.f1_K), expected, strict=False
    ):
        np.testing.assert_allclose(value_K, expected_K, rtol=1e-12)
        defined = [value for value in expected_K if not math.isnan(value)]
        assert macro(value_K) == pytest.approx(sum(defined) / len(defined))
    assert confusion.accuracy == pytest.approx(accuracy_score(label, decided))


@given(pairs, pairs)
def test_merged_parts_equal_the_whole(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    merged = counted(first)
    merged.merge(counted(second))
    assert np.array_equal(merged.count_KK, counted(first + second).count_KK)


def test_a_binary_decision_has_two_classes() -> None:
    confusion = counted([(1, 1), (1, 1), (1, 0), (0, 1), (0, 0), (0, 0)], num_classes=2)
    assert confusion.precision_K[1] == pytest.approx(2 / 3)
    assert confusion.recall_K[1] == pytest.approx(2 / 3)
    assert confusion.f1_K[1] == pytest.approx(2 / 3)


def test_what_is_not_defined_is_nan() -> None:
    empty, one_class = Confusion(), counted([(0, 0)], num_classes=2)
    assert math.isnan(empty.accuracy) and math.isnan(macro(empty.f1_K))
    assert np.isnan(one_class.precision_K).tolist() == [False, True]
    assert np.isnan(one_class.recall_K).tolist() == [False, True]
    assert one_class.accuracy == macro(one_class.f1_K) == 1.0
