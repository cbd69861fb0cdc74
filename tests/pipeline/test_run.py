"""The runner: stages run in order, are timed, and are done without where an answer can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from request_path import request

from headrace.errors import ServiceError, StoreUnavailable
from headrace.pipeline.context import Context
from headrace.pipeline.run import run
from headrace.pipeline.stage import Stage


class Clock:
    """Seconds, which pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def excludes(item_id: str) -> Callable[[Context], None]:
    """Work that can be told from others': the request excludes one item more."""

    def work(context: Context) -> None:
        context.exclude = (*context.exclude, item_id)

    return work


def fails(context: Context) -> None:
    excludes("half")(context)
    raise StoreUnavailable("Redis is away")


def test_stages_run_in_their_order_over_one_context() -> None:
    context = request()
    run([Stage(name, excludes(name)) for name in ("one", "two", "three")], context)
    assert context.exclude == ("one", "two", "three")
    assert [*context.stage_ms] == ["one", "two", "three"] and context.degraded == []


def test_each_stage_has_the_time_that_it_took() -> None:
    clock = Clock()

    def takes(seconds: float) -> Callable[[Context], None]:
        def work(context: Context) -> None:
            clock.now_s += seconds

        return work

    context = request(clock=clock)
    run([Stage("quick", takes(0.001)), Stage("slow", takes(0.25))], context)
    assert context.stage_ms == pytest.approx({"quick": 1, "slow": 250})
    assert context.elapsed_ms() == pytest.approx(251)


def test_a_stage_that_fails_is_named_and_the_others_go_on_with_what_it_left() -> None:
    context = request()
    run([Stage("read", fails, without="no_features"), Stage("next", excludes("next"))], context)
    assert context.degraded == ["no_features"]
    assert context.exclude == ("half", "next") and [*context.stage_ms] == ["read", "next"]


def test_no_answer_is_given_without_a_stage_that_has_no_mark() -> None:
    context = request()
    with pytest.raises(ServiceError, match="Redis is away"):
        run([Stage("filters", fails), Stage("next", excludes("next"))], context)
    assert context.exclude == ("half",)


def test_a_mistake_is_not_hidden_by_a_mark() -> None:
    def mistaken(context: Context) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([Stage("rank", mistaken, without="no_model")], request())


def test_a_stage_whose_turn_comes_too_late_is_left_out_and_named() -> None:
    clock = Clock()

    def waits(context: Context) -> None:
        clock.now_s += 0.03

    stages = [
        Stage("in time", waits, without="no_first", deadline_ms=20),
        Stage("late", excludes("late"), without="no_second", deadline_ms=20),
        Stage("still in time", excludes("third"), without="no_third", deadline_ms=40),
    ]
    context = request(clock=clock)
    run(stages, context)
    assert context.degraded == ["no_second"] and context.exclude == ("third",)
    assert [*context.stage_ms] == ["in time", "still in time"]


def test_two_stages_with_one_mark_are_named_once() -> None:
    context = request()
    run([Stage(name, fails, without="no_features") for name in ("user", "items")], context)
    assert context.degraded == ["no_features"]
