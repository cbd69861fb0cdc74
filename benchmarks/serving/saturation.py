"""Many connections: requests a second beside other servers, and what comes beyond them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.front import overload
from benchmarks.front.answers import Answer, quantile
from benchmarks.pairs import interval
from benchmarks.serving.client import closed_loop
from benchmarks.serving.served import Served, headrace_serve, hello_world, tutorial
from benchmarks.serving.shop import shop

NUM_ITEMS: Final = 2_000
FEW, MANY = 8, 512  # connections
NUM_PAIRS, QUICK_PAIRS = 5, 2
STEP_S, QUICK_S = 6.0, 2.0
MANY_S: Final = 20.0
PAUSE_S: Final = 1.0

Figures = dict[str, Any]


def beside_hello(quick: bool) -> Figures:
    """Requests a second at 8 connections over hello-world's, and p99 at 512 over that at 8."""
    with (
        shop(NUM_ITEMS, connections_per_client=2 * MANY) as made,
        hello_world(made) as hello,
        headrace_serve(made) as served,
    ):
        ours, theirs = _in_turn(served, hello, quick)
        few = _asked(served, FEW, QUICK_S if quick else MANY_S)
        many = _asked(served, MANY, QUICK_S if quick else MANY_S)
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    few_s, many_s = (quantile(_taken(answers), 0.99) for answers in (few, many))
    statuses = [answer.status for answer in many]
    return {
        "requests_vs_hello": quantile(ratios, 0.5),
        "requests_vs_hello_interval_95": interval(ratios),
        "requests_per_s": quantile(ours, 0.5),
        "hello_per_s": quantile(theirs, 0.5),
        "p99_512_over_8": many_s / few_s,
        "p99_8_ms": 1e3 * few_s,
        "p99_512_ms": 1e3 * many_s,
        "statuses_512": {str(one): statuses.count(one) for one in set(statuses)},
    }


def beside_tutorial(quick: bool) -> Figures:
    """The most requests a second over those of the tutorial's deployments, one after the other
    running, as both have all cores to themselves."""
    with shop(NUM_ITEMS) as made:
        found: dict[str, list[float]] = {"ours": [], "tutorial": []}
        for _ in range(1 if quick else 2):
            for name, started in (("ours", headrace_serve), ("tutorial", tutorial)):
                with started(made) as served:
                    step_s = QUICK_S if quick else STEP_S
                    rates = [_per_s(served, num, step_s) for num in (FEW, 2 * FEW)]
                    found[name].append(max(rates))
    return {
        "vs_tutorial": min(found["ours"]) / max(found["tutorial"]),
        "most_requests_per_s": found["ours"],
        "tutorial_per_s": found["tutorial"],
    }


def overloaded(quick: bool) -> Figures:
    """At 70 % of the peak and at twice the peak, under Poisson arrivals."""
    with shop(NUM_ITEMS) as made, headrace_serve(made) as served:
        found = overload.measured(served, quick)
    return {
        "p99_over_p50_at_70": found["p99_at_70_ms"] / found["p50_at_70_ms"],
        "goodput_at_2x": found["goodput_at_2x"],
        "recovery_s": found["recovery_s"],
        "p50_at_70_ms": found["p50_at_70_ms"],
        "p99_at_70_ms": found["p99_at_70_ms"],
        "p99_at_2x_ms": found["p99_at_2x_ms"],
        "overload": found["series"]["overload"],
    }


def _in_turn(served: Served, other: Served, quick: bool) -> tuple[list[float], list[float]]:
    """Requests a second of both, pair by pair."""
    ours, theirs = [], []
    step_s = QUICK_S if quick else STEP_S
    for _ in range(QUICK_PAIRS if quick else NUM_PAIRS):
        ours.append(_per_s(served, FEW, step_s))
        theirs.append(_per_s(other, FEW, step_s))
    return ours, theirs


def _per_s(served: Served, num: int, seconds: float) -> float:
    return len(_taken(_asked(served, num, seconds))) / seconds


def _asked(served: Served, num: int, seconds: float) -> list[Answer]:
    time.sleep(PAUSE_S)
    return closed_loop(served.port, served.requests, num, seconds)


def _taken(answers: Sequence[Answer]) -> list[float]:
    """The seconds of those that were answered."""
    return [answer.took_s for answer in answers if answer.status == 200]
