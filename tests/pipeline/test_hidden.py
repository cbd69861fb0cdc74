"""Hidden items: what an action hides is in no slate, from the next request on and for as long."""

from __future__ import annotations

import numpy as np
import pytest
from request_path import NOW_MS, request, user_of, user_who

from headrace.event import ActionEvent, Event, Shown
from headrace.features.store.last_items import USER_HIDES
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import User
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.stage import Rules


def told(item: str, action: str = "hide", before_s: int = 10, taken_back: bool = False) -> Event:
    name, time_ms = f"{action} {item} {before_s} {taken_back}", NOW_MS - 1_000 * before_s
    return ActionEvent(name, time_ms, "ann", item, action, taken_back=taken_back)


def left(user: User, now_ms: int = NOW_MS) -> list[int]:
    """Which of the candidates 1 to 6 are not hidden."""
    candidates = Candidates.of("trending", np.arange(1, 7))
    context = request(candidates=candidates, user=user, now_ms=now_ms)
    Rules(Hidden())(context)
    for row in {*range(1, 7)} - {*context.candidates.row_C.tolist()}:
        assert context.candidates.reason_of(row) == "hidden"
    return context.candidates.row_C.tolist()


def test_what_was_hidden_or_reported_is_not_shown_again() -> None:
    told_of = [told("i2"), told("i5", "report"), told("unknown"), told("i3", "like")]
    assert left(user_of(*told_of)) == [1, 3, 4, 6]
    assert left(User()) == [1, 2, 3, 4, 5, 6]


def test_an_impression_may_tell_it() -> None:
    assert left(user_who(Shown("i2", clicked=False, outcomes={"hide": True}))) == [1, 3, 4, 5, 6]


def test_what_is_taken_back_is_shown_again_unless_something_else_hides_it() -> None:
    undone = told("i2", taken_back=True, before_s=5)
    assert 2 in left(user_of(told("i2"), undone))
    assert 2 not in left(user_of(told("i2"), undone, told("i2", before_s=1)))
    assert 2 not in left(user_of(told("i2"), told("i2", "report"), undone))


def test_the_newest_of_one_item_counts_in_whichever_order_the_times_are() -> None:
    assert 2 in left(user_of(told("i2", before_s=1), told("i2", taken_back=True, before_s=5)))


def test_it_stays_hidden_however_many_events_come_after() -> None:
    views = [told(f"i{6 + n % 6}", "long_view", before_s=n) for n in range(200)]
    hides = [told(f"i{n}", before_s=500 + n) for n in range(1, 4)]
    assert left(user_of(*hides, *views)) == [4, 5, 6]


def test_an_action_hides_for_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(USER_HIDES, "user_hides_hide", 60.0)
    user = user_of(told("i2", before_s=10), told("i5", "report", before_s=10))
    assert left(user, NOW_MS + 49_999) == [1, 3, 4, 6]
    assert left(user, NOW_MS + 50_000) == [1, 2, 3, 4, 6]
    assert left(user, NOW_MS + 10**12) == [1, 2, 3, 4, 6]
