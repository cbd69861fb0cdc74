"""Requests one after the other on one connection, over the floor of the same rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import numpy as np

from benchmarks.front.answers import quantile
from benchmarks.peers import environment
from benchmarks.ranker import DIN_SIZES
from benchmarks.serving import floor
from benchmarks.serving.client import Connection, one_by_one, posted
from benchmarks.serving.served import Served, headrace_serve, hello_world
from benchmarks.serving.shop import shop

ROUNDS, QUICK_ROUNDS, PER_ROUND = 20, 4, 50
RANKED: Final = (25, 100, 300)
PAUSE_S: Final = 0.2  # until the impressions of a round have left

Figures = dict[str, Any]
Measured = Callable[[int], list[float]]  # seconds of so many


def with_2k(quick: bool) -> Figures:
    """With 2,000 items, beside DIN and with the ranking of given items."""
    return _with("2k", 2_000, quick, has_more=True)


def with_100k(quick: bool) -> Figures:
    """With 100,000 items."""
    return _with("100k", 100_000, quick)


def with_1m(quick: bool) -> Figures:
    """With 1,000,000 items, and p99."""
    figures = _with("1m", 1_000_000, quick)
    ratio = figures["request_p99_ms_1m"] / figures["request_p50_ms_1m"]
    return {**figures, "p99_over_p50_1m": ratio}


def _with(name: str, num_items: int, quick: bool, has_more: bool = False) -> Figures:
    num_rounds = QUICK_ROUNDS if quick else ROUNDS
    with ExitStack() as stack:
        made = stack.enter_context(shop(num_items))
        measured = {"read": floor.read(made), "forward": floor.forward()}
        if has_more:
            din = stack.enter_context(environment.steps(DIN_SIZES))
            measured["din"] = lambda num: [din("score", 1) for _ in range(num)]
        hello = stack.enter_context(hello_world(made))
        served = stack.enter_context(headrace_serve(made))
        measured |= {"hello": asked(hello), "request": asked(served)}
        p50_ms, p99_ms = _in_turn(measured, num_rounds)
        ranked = _ranked(served, num_rounds) if has_more else {}
    floor_ms = p50_ms["hello"] + p50_ms["read"] + p50_ms["forward"]
    figures = {f"over_floor_{name}": p50_ms["request"] / floor_ms}
    if has_more:
        figures[f"over_din_{name}"] = p50_ms["request"] / p50_ms["din"]
    figures |= {f"{what}_p50_ms_{name}": one_ms for what, one_ms in p50_ms.items()}
    return {**figures, f"request_p99_ms_{name}": p99_ms["request"], **ranked}


def asked(served: Served) -> Measured:
    """Seconds of so many requests on one connection, which stays."""
    connection, requests = Connection(served.port), served.requests

    def measured(num: int) -> list[float]:
        return one_by_one(connection, [requests[place % len(requests)] for place in range(num)])

    return measured


def _in_turn(
    measured: dict[str, Measured], num_rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """p50 and p99 in milliseconds of each, measured in rounds whose order turns."""
    took_s: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(num_rounds):
        names = [*measured][number % len(measured) :] + [*measured][: number % len(measured)]
        for name in names:
            time.sleep(PAUSE_S)
            took_s[name] += measured[name](PER_ROUND)
    return tuple(  # type: ignore[return-value]
        {name: 1e3 * quantile(one_s, share) for name, one_s in took_s.items()}
        for share in (0.5, 0.99)
    )


def _ranked(served: Served, num_rounds: int) -> Figures:
    """p50 of the ranking of so many given items."""
    connection, draw = Connection(served.port), np.random.default_rng(0)
    figures = {}
    for num in RANKED:
        took_s: list[float] = []
        for number in range(num_rounds * PER_ROUND // 4):
            chosen = draw.choice(len(served.shop.items), num, replace=False).tolist()
            user_id = served.shop.users[number % len(served.shop.users)]
            document = {"user_id": user_id, "items": [served.shop.items[one] for one in chosen]}
            took_s += one_by_one(connection, [posted("/v1/rank", document)])
        figures[f"rank_{num}_ms"] = 1e3 * quantile(took_s, 0.5)
    return figures
