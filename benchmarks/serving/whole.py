"""`headrace up` on a slice of MovieLens: what it costs while idle, and how soon answers change."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import catalogue_arrivals
from benchmarks.front.answers import quantile
from benchmarks.front.platform import Running
from headrace.api.client import Client, new_id
from headrace.api.slate import RecommendRequest
from headrace.clock import now_ms
from headrace.event import ActionEvent

SETTLED_S: Final = 20.0
IDLE_S, QUICK_IDLE_S = 60.0, 15.0
ROUNDS, QUICK_ROUNDS = 100, 10
LOOK_EVERY_S, MOST_S = 0.01, 10.0

Figures = dict[str, Any]


def idle(quick: bool) -> Figures:
    """Cores that all processes of a platform take while nothing comes and nobody asks."""
    with _platform() as platform:
        time.sleep(SETTLED_S)
        before_s, began_s = _used_s(platform), time.monotonic()
        time.sleep(QUICK_IDLE_S if quick else IDLE_S)
        after_s, wall_s = _used_s(platform), time.monotonic() - began_s
    by_name: dict[str, float] = {}
    for pid, (name, one_s) in after_s.items():
        _, earlier_s = before_s.get(pid, ("", 0.0))
        by_name[name] = by_name.get(name, 0.0) + one_s - earlier_s
    cores = {name: round(one_s / wall_s, 4) for name, one_s in by_name.items()}
    most = dict(sorted(cores.items(), key=lambda one: -one[1]))
    return {"idle_cores": sum(cores.values()), "idle_cores_by_process": most}


def behaviours(quick: bool) -> Figures:
    """From the post of a user's wish not to see an item to the first slate without it."""
    with _platform() as platform:
        client = Client(f"http://127.0.0.1:{platform.port}")
        num = QUICK_ROUNDS if quick else ROUNDS
        took_s = [_hidden_after_s(client, platform.users[n]) for n in range(num)]
    names = {"p50": 0.5, "p99": 0.99}
    return {f"behaviour_to_answer_{p}_ms": 1e3 * quantile(took_s, names[p]) for p in names}


def arrivals(quick: bool) -> Figures:
    """From the PUT of an item to the first slate with it, in a small shop."""
    found = catalogue_arrivals.run()
    names = ("p50", "p99")
    return {f"item_to_slate_{name}_ms": found[f"new_item_{name}_ms"] for name in names}


@contextmanager
def _platform() -> Iterator[Running]:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Running(Path(folder), {}) as platform,
    ):
        platform.wait_serving()
        yield platform


def _used_s(platform: Running) -> dict[int, tuple[str, float]]:
    """Name and processor time of each process that runs, by its number."""
    found = {}
    for process in (platform.process, *platform.processes("")):
        try:
            used, words = process.cpu_times(), process.cmdline()
            name = _name(words) or process.name()
            found[process.pid] = name, used.user + used.system
        except psutil.Error:
            continue
    return found


def _name(words: list[str]) -> str:
    """A process in a few words: the program, and the first argument that says more."""
    plain = [Path(word).name for word in words if not word.startswith("-")]
    return " ".join(plain[:2])[:60]


def _hidden_after_s(client: Client, user_id: str) -> float:
    asked = RecommendRequest(user_id, record=False)
    item_id = client.recommend(asked).items[0].item_id
    began_s = time.monotonic()
    client.post_events(ActionEvent(new_id(), now_ms(), user_id, item_id, "hide"))
    while item_id in {item.item_id for item in client.recommend(asked).items}:
        if time.monotonic() - began_s > MOST_S:
            raise AssertionError(f"{item_id} is in slates after {MOST_S:g} s")
        time.sleep(LOOK_EVERY_S)
    return time.monotonic() - began_s
