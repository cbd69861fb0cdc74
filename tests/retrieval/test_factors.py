"""The source `factors`: in a small world it proposes what the user's like-minded like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from request_path import CATALOGUE, Trends, clicked, request

from headrace.features.aggregation.facts import Ints
from headrace.learning.factors.item_factors import fit
from headrace.model.factor_vectors import FactorVectors
from headrace.model.item_factors import ItemFactors, folded
from headrace.retrieval.factors import source

LIKED = ((1, 2, 3, 4, 5), (6, 7, 8, 9, 10))  # rows, by either half of the users; 11 and 12 by none


@dataclass(frozen=True)
class OneVersion(Trends):
    """A snapshot of a version with these factors."""

    factors: FactorVectors | None = None


def learned(num_users: int = 200) -> ItemFactors:
    """The factors of a world in which each half of the users likes five items."""
    random = np.random.default_rng(0)
    user_N, row_N = random.integers(0, num_users, 6_000), random.integers(1, 13, 6_000)
    likes_N = np.array([row in LIKED[user % 2] for user, row in zip(user_N, row_N, strict=True)])
    grade_N = (random.random(6_000) < np.where(likes_N, 0.9, 0.1)).astype(float)
    return fit(user_N + 1, CATALOGUE.keys(row_N), grade_N, ItemFactors.empty(), {})


FACTORS = learned()


def version(factors: ItemFactors = FACTORS) -> OneVersion:
    known = np.ones(len(factors.key_I), np.bool_)
    return OneVersion(np.arange(1, 13), factors=FactorVectors(factors, known))


def found(snapshot: OneVersion, *item_ids: str, limit: int = 5) -> list[int]:
    asked = request(snapshot=snapshot, user=clicked(*item_ids))
    return source().candidates(asked, limit).tolist()


def test_it_proposes_what_those_like_who_liked_the_same() -> None:
    assert set(found(version(), "i1", "i3")) == set(LIKED[0])
    assert set(found(version(), "i7", "i10")) == set(LIKED[1])


def test_the_best_first_by_the_grade_that_is_expected() -> None:
    rows = found(version(), "i1", "i3", limit=12)
    assert len(rows) == 12 and set(rows[:5]) == set(LIKED[0])
    keys: Ints = CATALOGUE.keys(np.array(rows))
    entry_NE = FACTORS.of(torch.from_numpy(keys))
    liked_1P = torch.from_numpy(CATALOGUE.keys(np.array([3, 1])))[None]
    user_F = folded(FACTORS.of(liked_1P), torch.ones(1, 2), FACTORS.ridge, torch.zeros(1, 5))[0]
    grade_N = entry_NE[:, -1] + entry_NE[:, :-1] @ user_F
    assert grade_N.tolist() == pytest.approx(sorted(grade_N.tolist(), reverse=True), abs=1e-5)


def test_without_a_version_or_before_the_first_fit_it_proposes_nothing() -> None:
    assert found(OneVersion(np.arange(1, 13)), "i1") == []
    assert found(version(ItemFactors.empty()), "i1") == []


def test_items_that_went_are_not_proposed_until_they_are_back() -> None:
    snapshot = version()
    assert snapshot.factors is not None
    gone, none = CATALOGUE.keys(np.array([2, 4])), np.zeros(0, np.int64)
    snapshot.factors.follow(none, gone)
    assert not {2, 4} & set(found(snapshot, "i1", "i3", limit=12))
    snapshot.factors.follow(np.append(gone, 99), none)  # nothing was learned of 99
    assert set(found(snapshot, "i1", "i3")) == set(LIKED[0])
