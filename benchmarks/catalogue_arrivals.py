"""How long a new item takes to be in a slate, and a removed one to be in none, over HTTP.

A shop of forty items, so that a slate of a hundred has all that can be in one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.front.platform import Shop
from headrace.api.client import Client
from headrace.api.slate import RecommendRequest
from headrace.documents.document import ItemDocument

ROUNDS: Final = 60
MOST_S: Final = 30.0
LOOK_EVERY_S: Final = 0.02


def run() -> dict[str, Any]:
    """The 99th percentile of both, with the medians, in milliseconds."""
    with tempfile.TemporaryDirectory() as name, Shop(Path(name), "here") as shop:
        shop.wait_serving()
        client = Client(f"http://127.0.0.1:{shop.port}")
        seconds: dict[str, list[float]] = {"new": [], "removed": []}
        for number in range(ROUNDS):
            item_id = f"new-{number}"
            put = partial(client.put_items, ItemDocument(item_id, f"Thing {number}"))
            seconds["new"].append(_until(client, item_id, True, put))
            delete = partial(client.delete_item, item_id)
            seconds["removed"].append(_until(client, item_id, False, delete))
    figures: dict[str, Any] = {"rounds": ROUNDS}
    for what, each_s in seconds.items():
        figures[f"{what}_item_p99_ms"] = 1_000 * float(np.quantile(each_s, 0.99))
        figures[f"{what}_item_p50_ms"] = 1_000 * float(np.median(each_s))
    return figures


def _until(client: Client, item_id: str, is_there: bool, change: Callable[[], object]) -> float:
    """The seconds from the change's beginning until slates show it."""
    began_s = time.monotonic()
    change()
    asked = RecommendRequest("nobody", num_items=100, record=False)
    while (item_id in {item.item_id for item in client.recommend(asked).items}) != is_there:
        if time.monotonic() - began_s > MOST_S:
            raise AssertionError(f"{item_id} is as before after {MOST_S:g} s")
        time.sleep(LOOK_EVERY_S)
    return time.monotonic() - began_s
