"""Item factors: what is fitted of many rows, and what a few clicks then say of a user."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.learning.factors.item_factors import fit
from headrace.model.item_factors import (
    CONSTANT,
    NUM_ENTRIES,
    WIDTH,
    ItemFactors,
    affinities,
    folded,
)
from headrace.model.word_bags import WordBags

NUM_USERS, NUM_ITEMS = 300, 60
NO_PRIOR = torch.zeros(1, WIDTH + 1)


def two_tastes(seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows of users who like even items or odd ones, and mostly click what they like."""
    random = np.random.default_rng(seed)
    user_N = random.integers(NUM_USERS, size=12_000)
    item_N = random.integers(1, NUM_ITEMS + 1, 12_000)
    click_N = random.random(12_000) < np.where(user_N % 2 == item_N % 2, 0.8, 0.2)
    return user_N, item_N, click_N.astype(np.float64)


@pytest.fixture(scope="module")
def factors() -> ItemFactors:
    return fit(*two_tastes(), ItemFactors.empty(), {})


def log_odds(factors: ItemFactors, past: list[int], grades: list[float], items: list[int]) -> list:
    """What is expected of each item, and of it with a user of this past."""
    user_1F = folded(
        factors.of(torch.tensor([past])), torch.tensor([grades]), factors.ridge, NO_PRIOR
    )
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
def test_the_users_part_is_the_ridge_regression_over_the_past_towards_the_prior(
    seed: int, num: int
) -> None:
    random = np.random.default_rng(seed)
    entry_PE = random.normal(size=(num, NUM_ENTRIES))
    entry_PE[:, WIDTH] = CONSTANT
    click_P = random.integers(2, size=num)
    ridge, prior_1F = random.uniform(0.5, 5), torch.from_numpy(random.normal(size=(1, WIDTH + 1)))
    got_F = folded(torch.tensor(entry_PE)[None], torch.tensor(click_P)[None], ridge, prior_1F)[
        0
    ].numpy()
    x_PF, residual_P = entry_PE[:, :-1], click_P - entry_PE[:, -1]
    loss = [
        np.square(residual_P - x_PF @ f_F).sum()
        + ridge * np.square(f_F - prior_1F.numpy()[0]).sum()
        for f_F in (got_F, *(got_F + random.normal(0, 0.05, (20, WIDTH + 1))))
    ]
    assert loss[0] == min(loss)


def test_what_made_the_rows_is_found_again() -> None:
    random = np.random.default_rng(0)
    item_adds_I, user_adds_U = random.normal(0, 0.3, NUM_ITEMS), random.normal(0, 0.4, NUM_USERS)
    item_IW, user_UW = random.normal(0, 0.6, (NUM_ITEMS, 2)), random.normal(0, 0.6, (NUM_USERS, 2))
    user_N, item_N = random.integers(NUM_USERS, size=9_000), random.integers(NUM_ITEMS, size=9_000)
    sure_N = user_adds_U[user_N] + item_adds_I[item_N] + (user_UW[user_N] * item_IW[item_N]).sum(1)
    grade_N = 0.5 + sure_N + random.normal(0, 0.5, len(sure_N))
    factors = fit(user_N, item_N + 1, grade_N, ItemFactors.empty(), {})
    assert np.corrcoef(factors.entry_IE[:, -1], item_adds_I)[0, 1] > 0.95
    assert factors.ridge == pytest.approx(0.5**2 / 0.4**2, rel=0.3)
    keys, past_N = torch.from_numpy(item_N + 1), np.argsort(user_N, kind="stable")
    starts = np.searchsorted(user_N[past_N], np.arange(NUM_USERS + 1))
    predicted_N = np.zeros(len(sure_N))
    for start, end in zip(starts, starts[1:], strict=False):
        rows = past_N[start:end]
        entry_PE, told_P = factors.of(keys[rows]), torch.from_numpy(grade_N[rows])
        user_1F = folded(entry_PE[None], told_P[None], factors.ridge, NO_PRIOR)
        predicted_N[rows] = (entry_PE[:, -1] + (entry_PE[:, :-1] * user_1F).sum(1)).numpy()
    added_N = user_adds_U[user_N] + item_adds_I[item_N]
    left = np.square(sure_N + 0.5 - predicted_N).mean()
    assert left < np.square(sure_N - added_N).mean() / 2  # what no sum of both could explain


def test_an_item_of_few_rows_stays_nearer_to_all_others() -> None:
    user_N, item_N, click_N = two_tastes()
    few_N = (item_N != 7) | (np.cumsum(item_N == 7) <= 3)
    factors = fit(user_N[few_N], item_N[few_N], click_N[few_N], ItemFactors.empty(), {})
    length_I = np.linalg.norm(factors.entry_IE[:, :WIDTH], axis=1)
    assert factors.key_I[length_I.argmin()] == 7


def test_the_unit_of_grades_does_not_matter() -> None:
    user_N, item_N, click_N = two_tastes()
    past, items = torch.tensor([[2, 4, 3]]), torch.tensor([10, 11])
    gains = []
    for grade_N in (click_N, 0.5 + (click_N - 0.5) / 4):
        factors = fit(user_N, item_N, grade_N, ItemFactors.empty(), {})
        told_13 = torch.tensor([[grade_N.max(), grade_N.max(), grade_N.min()]])
        user_1F, entry_2E = (
            folded(factors.of(past), told_13, factors.ridge, NO_PRIOR),
            factors.of(items),
        )
        gains.append((user_1F * entry_2E[:, :-1]).sum(1).numpy())
    assert np.abs(gains[0]).min() > 0.1
    assert np.allclose(gains[0], 4 * gains[1], rtol=0.05)


def test_a_new_user_begins_with_what_users_of_the_same_attributes_like() -> None:
    user_N, item_N, click_N = two_tastes()
    even, odd, unknown = 111, 222, 333
    keys_of = {
        user: np.array([odd if user % 2 else even], np.int64).tobytes() for user in range(NUM_USERS)
    }
    factors = fit(user_N, item_N, click_N, ItemFactors.empty(), keys_of)
    words = WordBags(torch.tensor([even, odd, unknown]), torch.arange(3), torch.arange(3))
    prior_3F = factors.priors(words)
    nobody = factors.of(torch.zeros(3, 1, dtype=torch.int64)), torch.zeros(3, 1)
    user_3F = folded(*nobody, factors.ridge, prior_3F)
    assert torch.equal(user_3F, prior_3F) and not prior_3F[2].any()
    for item in (10, 11):
        entry_3E = factors.of(torch.tensor([item] * 3))
        of_even, of_odd, of_unknown = affinities(user_3F, entry_3E)[:, 1].tolist()
        likes, dislikes = (of_odd, of_even) if item % 2 else (of_even, of_odd)
        assert likes > of_unknown + 1 and dislikes < of_unknown - 1


def test_one_grade_for_all_can_be_fitted() -> None:
    user_N, item_N, click_N = two_tastes()
    factors = fit(user_N, item_N, np.ones_like(click_N), ItemFactors.empty(), {})
    assert np.isfinite(log_odds(factors, [2, 4], [1.0, 1.0], [10, 999])).all()


def test_a_fit_goes_on_from_the_one_before_and_forgets_items_without_rows(
    factors: ItemFactors,
) -> None:
    user_N, item_N, click_N = two_tastes(seed=1)
    kept_N = item_N != 7
    again = fit(user_N[kept_N], item_N[kept_N], click_N[kept_N], factors, {})
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
