"""Sources are asked for their quotas and a spare; what they find is merged with all sources."""

from __future__ import annotations

import numpy as np
from request_path import request

from headrace.errors import ServiceError
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context
from headrace.pipeline.merge import merge
from headrace.pipeline.sources import Quota, Sources


class Given:
    """Proposes these rows, and remembers for how many it was asked."""

    def __init__(self, name: str, *rows: int) -> None:
        self.name, self._rows = name, rows
        self.limits: list[int] = []

    def candidates(self, context: Context, limit: int) -> Ints:
        self.limits.append(limit)
        return np.array(self._rows[:limit], np.int64)


class Away:
    """A source whose server does not answer."""

    name = "neighbours"

    def candidates(self, context: Context, limit: int) -> Ints:
        raise ServiceError("the index is away")


def ask(*quotas: Quota, limit: int = 10, **asked: object) -> Context:
    context = request(**asked)
    Sources(quotas, limit, spare=lambda context: len(context.exclude))(context)
    merge(context)
    return context


def test_a_source_is_asked_for_its_share_and_what_filters_may_remove() -> None:
    best, rest = Given("best"), Given("rest")
    ask(Quota(best, share=0.25), Quota(rest), exclude=("i1", "i2", "i3"))
    assert best.limits == [5] and rest.limits == [13]


def test_each_row_is_one_candidate_with_all_of_its_sources() -> None:
    found = ask(Quota(Given("best", 4, 2)), Quota(Given("rest", 1, 2, 3, 4))).candidates
    assert found.row_C.tolist() == [4, 2, 1, 3]
    sources = [found.sources_of(place) for place in range(4)]
    assert sources == [("best", "rest"), ("best", "rest"), ("rest",), ("rest",)]
    assert found.rank_in("rest").tolist() == [3, 1, 0, 2]


def test_a_source_that_fails_is_left_out_and_named() -> None:
    context = ask(Quota(Away()), Quota(Given("rest", 1, 2)))
    assert context.degraded == ["no_neighbours"]
    assert context.candidates.row_C.tolist() == [1, 2] and context.candidates.sources == ("rest",)


def test_a_source_that_is_late_is_left_out_and_named() -> None:
    late = Given("late", 1)
    context = ask(Quota(late, deadline_ms=-1), Quota(Given("rest", 2)))
    assert late.limits == [] and context.degraded == ["no_late"]
    assert context.candidates.row_C.tolist() == [2]


def test_each_source_is_timed_under_its_name() -> None:
    assert [*ask(Quota(Given("best", 1)), Quota(Given("rest", 2))).stage_ms] == ["best", "rest"]


def test_without_anything_found_there_are_no_candidates() -> None:
    assert len(ask(Quota(Away())).candidates) == 0
    assert len(ask(Quota(Given("best"))).candidates) == 0
