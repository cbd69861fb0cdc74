"""Requests one after the other on one connection, also against another checkout's code."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.front.answers import quantile
from benchmarks.front.platform import ROOT, Running

ROUNDS, QUICK_ROUNDS, PER_ROUND = 20, 4, 100


def run(quick: bool, other: Path | None = None) -> dict[str, Any]:
    """`request_p50_ms` and p99, and with `other` the same of its code, in alternating rounds.

    Both platforms run from the first request to the last, so that each has the other beside it.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        own = stack.enter_context(Running(folder / "own", {}))
        own.wait_serving()
        platforms = {"": own}
        if other:
            platforms["other_"] = stack.enter_context(Running(folder / "other", {}, other))
            platforms["other_"].wait_serving()
        for platform in platforms.values():
            _round(platform)  # the first requests are the slowest
        rounds: dict[str, list[list[float]]] = {name: [] for name in platforms}
        for number in range(QUICK_ROUNDS if quick else ROUNDS):
            names = list(platforms) if number % 2 else list(reversed(platforms))
            for name in names:
                rounds[name].append(_round(platforms[name]))
    found: dict[str, Any] = {}
    for name, of_one in rounds.items():
        took_ms = [took for one in of_one for took in one]
        found[f"{name}request_p50_ms"] = round(quantile(took_ms, 0.5), 2)
        found[f"{name}request_p99_ms"] = round(quantile(took_ms, 0.99), 2)
    p50s_ms = {name or "own": [round(quantile(r, 0.5), 2) for r in rounds[name]] for name in rounds}
    checkouts = {"own": str(ROOT), "other": str(other or "")}
    return {**found, "series": {"p50": {"by_round_ms": p50s_ms, "checkouts": checkouts}}}


def _round(platform: Running) -> list[float]:
    """Milliseconds of each request."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    took_ms = []
    for number in range(PER_ROUND):
        user_id = platform.users[number % len(platform.users)]
        body = json.dumps({"user_id": user_id, "record": False})
        began_s = time.perf_counter()
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/recommend", body, headers)
        response = connection.getresponse()
        answered = response.read()
        took_ms.append((time.perf_counter() - began_s) * 1_000)
        assert response.status == 200, answered
    connection.close()
    return took_ms
