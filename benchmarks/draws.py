"""What samples cost the stream: a worker's events per second with them over without.

drawn_N      clicks, with N items drawn beside each
impressions  impressions of one item whose outcome is known

From Kafka into features in Redis and samples as their messages, as in `features`: one partition.
"""

from __future__ import annotations

import statistics
from typing import Any, Final

from benchmarks.features_stream import Consumer, prepare, produce, served
from benchmarks.pairs import compare
from headrace import config
from headrace.catalogue.item import Item
from headrace.stream.step.negatives import NOTHING, Negatives

NUM_EVENTS: Final = 50_000
NUM_PAIRS: Final = 7
NUM_DRAWN: Final = (4, 8)


def run() -> dict[str, Any]:
    """The ratios by kind of log, with the events per second of both sides."""
    with served("clicks") as settings:
        items = prepare(settings)
        ids = [item.item_id for item in items]
        produce(settings, NUM_EVENTS, None, impressions=False)
        result = {
            f"drawn_{num}": _measure(settings, items, Negatives(num, 0.75, ids))
            for num in NUM_DRAWN
        }
        shown = config.changed(settings, namespace="impressions")
        prepare(shown)
        produce(shown, NUM_EVENTS, None)
        return {**result, "impressions": _measure(shown, items, NOTHING)}


def _measure(
    settings: config.Settings, items: tuple[Item, ...], negatives: Negatives
) -> dict[str, Any]:
    result = compare(
        lambda: Consumer(settings, items, True, negatives).run(NUM_EVENTS),
        lambda: Consumer(settings, items, False).run(NUM_EVENTS),
        NUM_PAIRS,
    )
    low, high = result["interval_95"]
    return {
        "rate_ratio": 1 / result["time_ratio"],
        "interval_95": (1 / high, 1 / low),
        "with_samples_events_per_s": NUM_EVENTS / statistics.median(result["subject_s"]),
        "without_samples_events_per_s": NUM_EVENTS / statistics.median(result["baseline_s"]),
    }
