"""The source `neighbours`: what others chose in sessions like the user's."""

from __future__ import annotations

import numpy as np
from request_path import Trends, clicked, request

from headrace.retrieval.neighbours import source


def snapshot() -> Trends:
    trends = Trends(np.arange(1, 13))
    trends.sessions.remember("bob", [1, 2, 3])
    trends.sessions.remember("eve", [2, 4])
    return trends


def test_rows_of_the_nearest_sessions_come_without_the_users_own() -> None:
    context = request(snapshot=snapshot(), user=clicked("i1", "i2"))
    assert source().candidates(context, 10).tolist() == [3, 4]
    assert source().candidates(context, 1).tolist() == [3]


def test_a_request_is_remembered_for_those_to_come() -> None:
    trends = snapshot()
    source().candidates(request(snapshot=trends, user=clicked("i9", "i10")), 10)
    context = request(snapshot=trends, user_id="tom", user=clicked("i9"))
    assert source().candidates(context, 10).tolist() == [10]


def test_who_has_chosen_nothing_gets_nothing() -> None:
    assert source().candidates(request(snapshot=snapshot()), 10).tolist() == []
