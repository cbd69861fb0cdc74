"""The source `covisited`: companions of what the user chose last, or of what is asked about."""

from __future__ import annotations

import numpy as np
from request_path import CATALOGUE, NOW_MS, Companions, Trends, clicked, request

from headrace.features.companions import COMPANION_LAYOUT
from headrace.pipeline.context import Context
from headrace.retrieval.covisited import source

(NAME,) = COMPANION_LAYOUT.field_of.values()


def chosen_with(sums: dict[int, dict[int, float]]) -> Trends:
    """A snapshot in which rows were chosen with others so often."""
    of = {}
    for row, others in sums.items():
        state = COMPANION_LAYOUT.new(1)
        state[NAME]["newest_ms"] = NOW_MS
        state[NAME]["top"]["key"][0, : len(others)] = CATALOGUE.keys(np.array([*others]))
        state[NAME]["top"]["sum"][0, : len(others)] = [*others.values()]
        of[row] = state[0]
    return Trends(np.arange(1, 13), Companions(of))


PAIRS = chosen_with({1: {2: 9.0, 3: 3.0, 4: 1.0}, 5: {6: 20.0, 3: 8.0}, 7: {8: 0.4}})


def found(limit: int = 10, **asked: object) -> list[int]:
    context: Context = request(snapshot=PAIRS, **asked)
    return source().candidates(context, limit).tolist()


def test_companions_of_an_item_come_by_how_often_they_were_chosen_with_it() -> None:
    assert found(about=[1]) == [2, 3, 4]
    assert found(2, about=[1]) == [2, 3]


def test_a_companion_of_two_counts_twice_and_none_of_both_is_proposed() -> None:
    assert found(about=[1, 5]) == [6, 2, 3, 4]
    assert 1 not in found(about=[5, 1])


def test_few_pairs_say_less_than_many() -> None:
    assert found(about=[7, 1]) == [2, 3, 8, 4]


def test_without_items_it_is_what_the_user_chose_last_the_newest_first() -> None:
    assert found(user=clicked("i5", "i1")) == [2, 6, 3, 4]
    assert found(user=clicked("i1", "i5")) == [6, 2, 3, 4]


def test_who_has_chosen_nothing_gets_nothing_and_so_does_what_nobody_chose() -> None:
    assert found() == [] and found(about=[12]) == []


def test_what_has_left_the_catalogue_is_not_proposed() -> None:
    state = COMPANION_LAYOUT.new(1)
    state[NAME]["top"]["key"][0, :2], state[NAME]["top"]["sum"][0, :2] = [99, 98], [3, 2]
    gone = Trends(np.arange(1, 13), Companions({1: state[0]}))
    assert source().candidates(request(snapshot=gone, about=[1]), 10).tolist() == []
