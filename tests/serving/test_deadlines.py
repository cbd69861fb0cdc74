"""A request with a deadline: what is not ready by then is left out and marked, rung by rung."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from ranked_shop import TABLE, UNRANKED, ranked
from request_path import NOW_MS
from test_stages_of_a_slate import Store, Stored

from headrace.api.slate import RankRequest, RecommendRequest, Slate
from headrace.application.reranking import Caps, Diversity, Reranking
from headrace.application.sections import Application
from headrace.event import ImpressionEvent
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context
from headrace.retrieval import best_categories
from headrace.retrieval.best_categories import BestCategories
from serving.http.budget import Budget
from serving.lists import Lists
from serving.recommend import Recommender
from serving.stages.hydrate import Hydrate

DIVERSE = Application(
    rerank=Reranking(diversity=Diversity(), caps=Caps({"category": 1}, strict=True))
)


@dataclass
class Clock:
    """Seconds, which pass when somebody says so, and a little with each look."""

    now_s: float = 100.0
    look_s: float = 0.0

    def __call__(self) -> float:
        self.now_s += self.look_s
        return self.now_s


@dataclass
class SlowStore(Store):
    """A store that answers after some time."""

    clock: Clock = field(default_factory=Clock)
    takes_ms: float = 0.0

    def read_users(self, user_ids: Sequence[str], lists: Sequence[str] = ()) -> Stored:
        self.clock.now_s += self.takes_ms / 1_000
        return super().read_users(user_ids, lists)


def asking(clock: Clock, store_ms: float = 0.0, application: Application = DIVERSE) -> Recommender:
    store = SlowStore(clock=clock, takes_ms=store_ms)
    return Recommender(Hydrate(store), TABLE, 8, application=application, clock=clock)


def asked(
    recommender: Recommender, deadline_ms: int | None = None
) -> tuple[Slate, ImpressionEvent | None]:
    request = RecommendRequest("ann", num_items=3, deadline_ms=deadline_ms)
    return recommender.recommend(request, ranked(), NOW_MS)


def test_a_request_with_time_lacks_nothing() -> None:
    for deadline_ms in (None, 50):
        answer, _ = asked(asking(Clock(), store_ms=20), deadline_ms)
        assert answer.degraded == () and len(answer.items) == 3


def test_late_sources_are_left_out_and_the_last_one_answers_alone() -> None:
    answer, impression = asked(asking(Clock(), store_ms=60), 50)
    assert answer.degraded == (
        *("not_ranked", "no_diversity", "deadline_passed"),
        *(f"no_{name}" for name in [*DIVERSE.sources][:-1]),
    )
    assert [item.item_id for item in answer.items] == ["i1", "i2", "i3"]  # in the order they came
    assert all(item.sources == ("trending",) and item.score is None for item in answer.items)
    assert {item.categories for item in answer.items} == {("tea",), ("mugs",), ("pens",)}
    # It is logged as what it is: the stream makes the features that nobody made here.
    assert impression is not None and impression.served is None and len(impression.items) == 3


def test_one_slow_source_makes_the_next_one_late(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Slow(BestCategories):
        def candidates(self, context: Context, limit: int) -> Ints:
            clock.now_s += 0.06
            return super().candidates(context, limit)

    monkeypatch.setattr(best_categories, "source", lambda: Slow(3))
    sources = {"best_categories": 0.5, "covisited": 0.5, "trending": 1.0}
    answer, _ = asked(asking(clock, application=Application(sources=sources)), 50)
    late = [mark for mark in answer.degraded if mark.removeprefix("no_") in sources]
    assert late == ["no_covisited"] and len(answer.items) == 3


def test_a_ranker_that_would_be_late_is_left_out_by_its_pace() -> None:
    clock = Clock(look_s=0.001)  # each look at the clock is a millisecond
    recommender = asking(clock, application=Application())
    first, _ = asked(recommender)
    rank_ms = first.stage_ms["rank"]
    before_ms = sum(first.stage_ms[name] for name in ("hydrate", "sources", "merge", "filters"))
    assert first.degraded == () and rank_ms >= 1
    never, _ = asked(recommender, 1_000)
    assert never.degraded == ()
    for deadline_ms in range(1, 60):
        answer, _ = asked(recommender, deadline_ms)
        assert len(answer.items) == 3
        if "not_ranked" not in answer.degraded:
            break
    assert deadline_ms > before_ms
    assert all(item.p_click is not None for item in answer.items)


def test_marks_of_a_deadline_are_told_of_lists_too() -> None:
    lists = Lists(Hydrate(SlowStore(takes_ms=0)), TABLE, 8)
    asked = RankRequest("ann", ("i3", "i1"), deadline_ms=10_000)
    assert lists.rank(asked, ranked(), NOW_MS).degraded == ()
    assert "no_model" in lists.rank(asked, UNRANKED, NOW_MS).degraded


def test_what_a_request_has_waited_is_a_part_of_its_deadline() -> None:
    request = RecommendRequest("ann", num_items=3, deadline_ms=50)
    for waited_ms, is_late in ((0.0, False), (49.0, False), (51.0, True)):
        answer, _ = asking(Clock()).recommend(request, ranked(), NOW_MS, (), waited_ms)
        assert ("deadline_passed" in answer.degraded) == is_late and len(answer.items) == 3


def test_work_knows_how_long_it_has_waited() -> None:
    clock = Clock(look_s=0.02)
    budget = Budget("slates", 1, places=2, deadline_s=1, clock=clock)
    assert asyncio.run(budget.run(lambda: budget.waited_ms)) == pytest.approx(20)
    assert budget.waited_ms == 0
    budget.close()
