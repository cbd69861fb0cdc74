"""The collaborative vector: the ridge regression over the items that were shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from plain_facts import (
    NUM_ENTITIES,
    WIDTH,
    Fact,
    logs,
    of_entity,
    reading_times_ms,
    state_of,
)

from headrace.features.aggregation.collaborative import NormalEquations
from headrace.features.aggregation.facts import Ints

VECTORS = NormalEquations(WIDTH, ridge=0.75, mean=0.25)


def ridge_regression(seen: list[Fact]) -> NDArray[np.float64]:
    """Of clicks minus the mean on the items' vectors; each impression is one row."""
    factor_ND = np.array([fact.factor for fact in seen], float).reshape(-1, WIDTH)
    shown_N = np.array([fact.shown for fact in seen], float)
    label_N = np.array([fact.click for fact in seen], float)
    matrix_DD = factor_ND.T @ (factor_ND * shown_N[:, None]) + 0.75 * np.eye(WIDTH)
    return np.linalg.solve(matrix_DD, factor_ND.T @ (label_N - 0.25 * shown_N))


@settings(deadline=None, max_examples=80)
@given(log=logs(), now_ms_U=reading_times_ms())
def test_the_vector_is_the_solution_of_the_ridge_regression(
    log: list[Fact], now_ms_U: Ints
) -> None:
    vector_UD = VECTORS.read(state_of(VECTORS, log), now_ms_U)
    assert vector_UD.shape == (NUM_ENTITIES, WIDTH)
    for entity in range(NUM_ENTITIES):
        expected_D = ridge_regression(of_entity(log, entity))
        assert vector_UD[entity] == pytest.approx(expected_D, rel=1e-9, abs=1e-12)


def test_a_click_that_comes_later_counts_as_if_it_had_come_at_once() -> None:
    factor = (1.0, -0.5)
    at_once = state_of(VECTORS, [Fact(click=1.0, factor=factor)])
    shown, clicked = Fact(factor=factor, settled=False), Fact(shown=0, click=1, factor=factor)
    assert state_of(VECTORS, [shown], [clicked]).tobytes() == at_once.tobytes()


def test_facts_without_vectors_of_this_width_add_nothing() -> None:
    for factor in ((), (1.0,), (1.0, 1.0, 1.0)):
        assert not state_of(VECTORS, [Fact(click=1.0, factor=factor)]).any()
    assert not VECTORS.read(state_of(VECTORS), np.zeros(NUM_ENTITIES, np.int64)).any()
