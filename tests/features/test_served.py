"""Served features: read back as they were logged, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.event import Served
from headrace.features.aggregation.facts import ACTIONS, MAX_OUTCOME, Ints
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.served import MAX_SERVED, as_served

NUM_ITEMS = 3
DENSE_NF = np.random.default_rng(0).normal(size=(NUM_ITEMS, NUM_DENSE)).astype("<f4")
HISTORY_3T = np.zeros((3, HISTORY_LENGTH), "<i8")
HISTORY_3T[:, 0] = (2**63 - 1, 60_000, (1 << len(ACTIONS)) - 1)


def served(
    dense_NF: np.ndarray = DENSE_NF, history_3T: Ints = HISTORY_3T, schema: int = INPUT_SCHEMA
) -> Served:
    return Served(schema, dense_NF.tobytes(), history_3T.tobytes())


def test_what_serving_logged_is_read_back_to_the_bit() -> None:
    features = as_served(served(), NUM_ITEMS)
    assert features is not None
    assert features.dense_NF.dtype == np.float32 and features.history_3T.dtype == np.int64
    assert np.array_equal(features.dense_NF, DENSE_NF)
    assert np.array_equal(features.history_3T, HISTORY_3T)


def test_features_of_nothing_of_another_table_or_of_other_sizes_are_not_read() -> None:
    assert as_served(None, NUM_ITEMS) is None
    assert as_served(served(schema=INPUT_SCHEMA ^ 1), NUM_ITEMS) is None
    assert as_served(served(), NUM_ITEMS + 1) is None
    assert as_served(served(DENSE_NF[:, 1:]), NUM_ITEMS) is None
    assert as_served(served(history_3T=HISTORY_3T[:, 1:]), NUM_ITEMS) is None
    assert as_served(Served(INPUT_SCHEMA, b"", b""), NUM_ITEMS) is None


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 2 * MAX_SERVED, -2 * MAX_SERVED])
def test_a_number_that_no_feature_has_is_not_read(number: float) -> None:
    dense_NF = DENSE_NF.copy()
    dense_NF[1, 2] = number
    assert as_served(served(dense_NF), NUM_ITEMS) is None


@pytest.mark.parametrize("actions", [-1, MAX_OUTCOME + 1, 2**62])
def test_actions_that_do_not_exist_are_not_read(actions: int) -> None:
    history_3T = HISTORY_3T.copy()
    history_3T[2, 5] = actions
    assert as_served(served(history_3T=history_3T), NUM_ITEMS) is None
