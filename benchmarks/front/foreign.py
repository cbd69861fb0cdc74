"""Two platforms on one machine, of which one loses its replica: whose answers come?"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.front.load import FOR_EVER_S, Load
from benchmarks.front.platform import REPLICA, Shop

SLATES_PER_S = 20.0
WATCHED_S, QUICK_S = 30.0, 12.0
LOSSES, QUICK_LOSSES = 3, 1
LOOK_S, CALM_S = 0.1, 3.0


def run(quick: bool) -> dict[str, Any]:
    """`foreign_answers`: slates with another platform's items, and health of its namespace."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        shops = [stack.enter_context(Shop(folder / name, name)) for name in ("left", "right")]
        for shop in shops:
            shop.wait_serving()
        loads = [
            stack.enter_context(Load(shop.plan("unrecorded", SLATES_PER_S, FOR_EVER_S)))
            for shop in shops
        ]
        namespaces = [shop.ask("/healthz")[1]["namespace"] for shop in shops]
        time.sleep(CALM_S)
        wrong = 0
        for _ in range(QUICK_LOSSES if quick else LOSSES):
            for process in shops[0].processes(REPLICA):
                process.kill()
            ends_s = time.monotonic() + (QUICK_S if quick else WATCHED_S)
            while time.monotonic() < ends_s:
                documents = [shop.ask("/healthz", 1)[1] for shop in shops]
                told = [one.get("namespace") for one in documents]
                wrong += sum(a not in (None, b) for a, b in zip(told, namespaces, strict=True))
                time.sleep(LOOK_S)
        answers = [load.stop() for load in loads]
    foreign = sum(one.note == "foreign" for of_one in answers for one in of_one)
    raw = [Counter(f"{one.status} {one.note}".strip() for one in of_one) for of_one in answers]
    return {"foreign_answers": foreign + wrong, "series": {"foreign": raw}}
