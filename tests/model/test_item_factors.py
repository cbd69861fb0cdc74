"""Item factors: exact solutions, and what a few clicks then say of a user."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.model.item_factors import (
    CONSTANT,
    NUM_ENTRIES,
    WIDTH,
    ItemFactors,
    affinities,
    fit,
    folded,
)

NUM_USERS, NUM_ITEMS = 300, 60


def two_tastes(seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows of users who like even items or odd ones, and mostly click what they like."""
    random = np.random.default_rng(seed)
    user_N = random.integers(NUM_USERS, size=12_000)
    item_N = random.integers(1, NUM_ITEMS + 1, 12_000)
    click_N = random.random(12_000) < np.where(user_N % 2 == item_N % 2, 0.8, 0.2)
    return user_N, item_N, click_N.astype(np.float64)


@pytest.fixture(scope="module")
def factors() -> ItemFactors:
    return fit(*two_tastes(), ItemFactors.empty())


def log_odds(factors: ItemFactors, past: list[int], grades: list[float], items: list[int]) -> list:
    """What is expected of each item, and of it with a user of this past."""
    user_1F = folded(factors.of(torch.tensor([past])), torch.tensor([grades]), factors.ridge)
    return affinities(user_1F, factors.of(torch.tensor(items))).tolist()


def test_a_few_clicks_tell_a_taste(factors: ItemFactors) -> None:
    past, clicks = [2, 4, 6, 3, 5, 7], [1, 1, 1, 0, 0, 0]
    liked, disliked = log_odds(factors, past, clicks, [10, 11])
    assert liked[1] > liked[0] + 1 and disliked[1] < disliked[0] - 1


def test_the_same_past_in_any_order_and_with_gaps_says_the_same(factors: ItemFactors) -> None:
    one = log_odds(factors, [2, 3, 5, 0], [1, 0, 1, 0], [9, 12])
    other = log_odds(factors, [0, 5, 2, 0, 3], [0, 1, 1, 0, 0], [9, 12])
    assert np.allclose(one, other, atol=1e-4)


def test_without_a_past_or_for_an_unknown_item_only_what_is_expected_counts(
    factors: ItemFactors,
) -> None:
    for expected, predicted in log_odds(factors, [0, 0], [0, 0], [9, 999]):
        assert predicted == pytest.approx(expected, abs=1e-5)
    unknown = factors.of(torch.tensor([999]))[0].tolist()
    assert unknown == [0.0] * WIDTH + [CONSTANT, pytest.approx(factors.mean)]
    assert not factors.of(torch.tensor([0])).any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_users_part_is_the_ridge_regression_over_the_past(seed: int, num: int) -> None:
    random = np.random.default_rng(seed)
    entry_PE = random.normal(size=(num, NUM_ENTRIES))
    entry_PE[:, WIDTH] = CONSTANT
    click_P = random.integers(2, size=num)
    ridge = random.uniform(0.5, 5)
    got_F = folded(torch.tensor(entry_PE)[None], torch.tensor(click_P)[None], ridge)[0].numpy()
    x_PF, residual_P = entry_PE[:, :-1], click_P - entry_PE[:, -1]
    loss = [
        np.square(residual_P - x_PF @ f_F).sum() + ridge * np.square(f_F).sum()
        for f_F in (got_F, *(got_F + random.normal(0, 0.05, (20, WIDTH + 1))))
    ]
    assert loss[0] == min(loss)


def test_shares_are_believed_more_than_clicks_that_vary_more() -> None:
    user_N, item_N, click_N = two_tastes()
    share_N = 0.5 + (click_N - 0.5) / 4
    of_clicks, of_shares = (fit(user_N, item_N, g, ItemFactors.empty()) for g in (click_N, share_N))
    assert of_shares.ridge == pytest.approx(of_clicks.ridge / 16)


def test_one_grade_for_all_can_be_fitted() -> None:
    user_N, item_N, click_N = two_tastes()
    factors = fit(user_N, item_N, np.ones_like(click_N), ItemFactors.empty())
    assert np.isfinite(log_odds(factors, [2, 4], [1.0, 1.0], [10, 999])).all()


def test_a_fit_goes_on_from_the_one_before_and_forgets_items_without_rows(
    factors: ItemFactors,
) -> None:
    user_N, item_N, click_N = two_tastes(seed=1)
    kept_N = item_N != 7
    again = fit(user_N[kept_N], item_N[kept_N], click_N[kept_N], factors)
    assert 7 not in again.key_I and len(again.key_I) == NUM_ITEMS - 1
    before_IW = factors.of(torch.from_numpy(again.key_I)).numpy()[:, :WIDTH]
    cosine_I = (before_IW * again.entry_IE[:, :WIDTH]).sum(1)
    cosine_I /= np.linalg.norm(before_IW, axis=1) * np.linalg.norm(
        again.entry_IE[:, :WIDTH], axis=1
    )
    assert np.median(cosine_I) > 0.5  # the vectors keep their meaning from version to version


def test_the_state_brings_back_the_same_factors(factors: ItemFactors) -> None:
    keys = torch.arange(NUM_ITEMS + 5)
    assert torch.equal(ItemFactors.from_state(factors.state()).of(keys), factors.of(keys))
    assert torch.equal(
        ItemFactors.from_state(ItemFactors.empty().state()).of(keys), ItemFactors.empty().of(keys)
    )
