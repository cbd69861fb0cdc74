"""Priors of users from their attributes: sums of vectors, and the ridge regression behind them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.learning.factors.attribute_priors import NUM_STEPS, RIDGE, Attributes

bags = st.lists(st.lists(st.integers(1, NUM_STEPS), max_size=4, unique=True), min_size=1)


def attributes_of(bags: list[list[int]]) -> Attributes:
    """Those of users 1, 2, ..., whose attributes have these keys."""
    keys_of = {user: np.array(bag, np.int64).tobytes() for user, bag in enumerate(bags, 1)}
    return Attributes.of(np.arange(1, len(bags) + 1), keys_of)


@given(bags, st.integers(0, 2**32 - 1))
def test_vectors_are_the_ridge_regression_and_priors_their_sums(
    bags: list[list[int]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    attributes = attributes_of(bags)
    has_UA = np.array([[key in bag for key in attributes.key_A] for bag in bags], np.float64)
    has_UA = has_UA.reshape(len(bags), -1)
    num = len(attributes.key_A)
    mean_U3, start_A3 = random.normal(size=(len(bags), 3)), random.normal(size=(num, 3))
    vector_A3 = attributes.fitted(mean_U3, start_A3)
    matrix_AA = has_UA.T @ has_UA + RIDGE * np.eye(num)
    assert np.allclose(vector_A3, np.linalg.solve(matrix_AA, has_UA.T @ mean_U3), atol=1e-6)
    assert np.allclose(attributes.priors(vector_A3), has_UA @ vector_A3)


def test_users_without_attributes_begin_with_nothing() -> None:
    attributes = attributes_of([[], []])
    vector_03 = attributes.fitted(np.ones((2, 3)), np.zeros((0, 3)))
    assert vector_03.shape == (0, 3)
    assert not attributes.priors(vector_03).any()


def test_one_who_is_not_told_of_has_no_attributes() -> None:
    told = {1: np.array([7], np.int64).tobytes()}
    attributes = Attributes.of(np.array([1, 2]), told)
    assert attributes.key_A.tolist() == [7]
    assert attributes.priors(np.ones((1, 3))).tolist() == [[1.0] * 3, [0.0] * 3]
