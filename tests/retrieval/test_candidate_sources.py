"""Each source alone: which rows it proposes, the best first."""

from __future__ import annotations

from request_path import clicked, request, user_who

from headrace.event import Shown
from headrace.retrieval.best_categories import BestCategories
from headrace.retrieval.trending import Trending

TRENDING = (9, 3, 5, 1, 4, 2)  # of tea: 9 and 3; of mugs: 1 and 4; of pens: 5 and 2


def test_trending_proposes_the_head_of_the_list() -> None:
    assert Trending().candidates(request(TRENDING), 4).tolist() == [9, 3, 5, 1]
    assert Trending().candidates(request(TRENDING), 100).tolist() == [*TRENDING]


def test_best_categories_proposes_what_trends_in_those_that_the_user_clicks() -> None:
    asked = request(TRENDING, user=clicked("i12", "i10"))  # tea and mugs
    assert BestCategories(3).candidates(asked, 10).tolist() == [9, 3, 1, 4]
    assert BestCategories(3).candidates(asked, 3).tolist() == [9, 3, 1]


def test_best_categories_are_those_with_the_highest_rates() -> None:
    often = user_who(
        *(Shown("i10", clicked=True) for _ in range(5)),
        *(Shown("i12", clicked=n == 0) for n in range(5)),
    )
    assert BestCategories(1).candidates(request(TRENDING, user=often), 10).tolist() == [1, 4]


def test_best_categories_has_nothing_for_somebody_without_clicks() -> None:
    assert not len(BestCategories(3).candidates(request(TRENDING), 10))
    shown = user_who(Shown("i10", clicked=False))
    assert not len(BestCategories(3).candidates(request(TRENDING, user=shown), 10))
