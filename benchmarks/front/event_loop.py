"""How long a replica's event loop stands still: each callback's time, while Redis and the broker
stand still too, and while bodies come that are as large as they may be."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.front.answers import quantile
from benchmarks.front.platform import ROOT
from benchmarks.front.requests import fuzzed
from headrace import config
from headrace.broker.topics import create_topics
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.services.kafka import start_broker
from headrace.services.ports import free_port
from headrace.services.processes.process import ServerProcess
from headrace.services.redis import start_redis

SECONDS, QUICK_SECONDS, STANDS_S = 10.0, 2.0, 4.0
START_S = 60.0
LONG_MS = 1.0  # that the loop may stand at most
POST = json.dumps(
    [{"type": "click", "user_id": f"u{n}", "item_id": f"i{n}"} for n in range(200)]
).encode()
LARGE = b"[" + b"{}," * 1_300_000 + b"{}]"
SLATE = b'{"user_id":"u1","num_items":10}'
REQUESTS = (("/v1/recommend", SLATE), ("/v1/events", POST), ("/v1/events", LARGE))
SHOWN = 8  # callbacks in the series
PROBED = ROOT / "tests" / "front" / "probed_replica.py"


def run(quick: bool) -> dict[str, Any]:
    """`loop_blocked_ms`: the longest and the 99.9th percentile of the loop's own work in one
    callback; under `by_clock` the same by the clock, which other threads share."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        times = _measured(Path(folder), QUICK_SECONDS if quick else SECONDS)
    own_ms = [own for calls in times.values() for _, own in calls]
    clock_ms = [clock for calls in times.values() for clock, _ in calls]
    longest = {
        name: [round(max(call[column] for call in calls), 2) for column in (0, 1)]
        for name, calls in times.items()
    }
    by_own = sorted(longest.items(), key=lambda one: -one[1][1])
    return {
        "loop_blocked_ms": round(max(own_ms), 2),
        "loop_blocked_p999_ms": round(quantile(own_ms, 0.999), 2),
        "series": {
            "event_loop": {
                "num_callbacks": len(own_ms),
                "num_long": sum(own > LONG_MS for own in own_ms),
                "by_clock_ms": round(max(clock_ms), 2),
                "by_clock_p999_ms": round(quantile(clock_ms, 0.999), 2),
                "longest_by_clock_and_own_ms": dict(by_own[:SHOWN]),
            }
        },
    }


def _measured(folder: Path, seconds: float) -> dict[str, list[tuple[float, float]]]:
    environ = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with ExitStack() as stack:
        redis = start_redis(folder / "redis")
        stack.callback(redis.stop)
        broker = start_broker(folder / "kafka", environ)
        stack.callback(broker.stop)
        settings = config.settings(
            namespace="loop",
            home=folder / "home",
            port=free_port(),
            redis_url=redis.url,
            kafka_bootstrap=broker.bootstrap,
        )
        create_topics(settings)
        write_catalogue(_shop(), config.catalogue_path(settings), now_ms())
        with _replica(folder, settings) as port:
            for stands in (None, redis.process, broker.process):
                with _standing(stands):
                    _send(port, seconds if stands is None else STANDS_S)
                time.sleep(1)
        found: dict[str, list[tuple[float, float]]] = json.loads((folder / "times").read_text())
        return found


def _shop() -> Dataset:
    items = tuple(Item(f"i{n}", f"thing {n}", (f"kind {n % 9}",)) for n in range(2_000))
    users = tuple(User(f"u{n}") for n in range(200))
    return Dataset("shop", items, users, lambda: iter(()), 0, now_ms(), now_ms())


@contextlib.contextmanager
def _replica(folder: Path, settings: config.Settings) -> Iterator[int]:
    """A probed replica's port; at the end it has written its times."""
    environ = {**os.environ, **config.environment(settings)}
    subprocess.run(
        [sys.executable, "-m", "headrace.cli", "materialize"],
        env=environ,
        check=True,
        capture_output=True,
    )
    command = [sys.executable, str(PROBED), str(settings.http.port), str(folder / "times")]
    process = subprocess.Popen(command, env=environ, cwd=ROOT)
    try:
        ends_s = time.monotonic() + START_S
        while _ask(settings.http.port, "GET", "/livez", None) != 200:
            assert time.monotonic() < ends_s and process.poll() is None, "no replica answers"
            time.sleep(0.1)
        process.send_signal(signal.SIGUSR1)  # without the server's own start
        yield settings.http.port
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def _standing(process: ServerProcess | None) -> Iterator[None]:
    if process is None:
        yield
        return
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def _send(port: int, seconds: float) -> None:
    """Sound, strange and large requests, by four clients at one time."""
    ends_s = time.monotonic() + seconds

    def client(seed: int) -> None:
        draw = random.Random(seed)
        while time.monotonic() < ends_s:
            path, body = draw.choice((*REQUESTS[:2], *REQUESTS, fuzzed(draw)))
            _ask(port, "POST", path, body)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask(port: int, method: str, path: str, body: bytes | None) -> int:
    """The status of the answer, 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
