"""MovieLens as likes only: nothing was shown, and nothing disliked, as far as the log tells.

next_item        the whole catalogue ranked before each like of the last fifth, while the learner
                 goes on, beside the most popular films of the run (`headrace evaluate --online`)
stream.drawn_N   clicks per second from Kafka into features in Redis and samples, with N items
                 drawn beside each, over the same without samples; as in `features`, one core
"""

from __future__ import annotations

import os
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.features_stream import Consumer, prepare, produce
from benchmarks.pairs import compare
from headrace import config
from headrace.catalogue.item import Dataset, Item
from headrace.datasets.registry import load_dataset
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.run import evaluate
from headrace.event import ClickEvent, ImpressionEvent
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from headrace.stream.memory import keep_freed
from headrace.stream.step.negatives import Negatives

NUM_EVENTS: Final = 50_000
NUM_PAIRS: Final = 5
NUM_DRAWN: Final = (4, 8)


def run() -> dict[str, Any]:
    """Both measurements."""
    likes = likes_of(load_dataset("movielens", None))
    asked = Asked(online=True, num_draws=1_000)
    return {"stream": _stream(), "next_item": evaluate(likes, config.settings(), asked)}


def likes_of(dataset: Dataset) -> Dataset:
    """The same log with a click for each impression that was clicked, and nothing else."""
    clicks = [
        ClickEvent(event.event_id, event.event_time_ms, event.user_id, shown.item_id)
        for event in dataset.events()
        if isinstance(event, ImpressionEvent)
        for shown in event.items
        if shown.clicked
    ]
    return replace(
        dataset,
        events=lambda: iter(clicks),
        num_events=len(clicks),
        start_ms=clicks[0].event_time_ms,
        end_ms=clicks[-1].event_time_ms,
    )


def _stream() -> dict[str, Any]:
    """Events per second of a worker's work, with so many items drawn beside each click."""
    keep_freed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            start_redis(folder / "redis") as redis,
            start_broker(folder / "kafka", os.environ) as broker,
        ):
            settings = config.settings(
                namespace="bench",
                home=str(folder / "home"),
                redis_url=redis.url,
                kafka_bootstrap=broker.bootstrap,
                num_partitions=1,
            )
            items = prepare(settings)
            produce(settings, NUM_EVENTS, None, impressions=False)
            return {f"drawn_{num}": _drawing(settings, items, num) for num in NUM_DRAWN}


def _drawing(settings: config.Settings, items: tuple[Item, ...], num_drawn: int) -> dict[str, Any]:
    rules = Negatives(num_drawn, 0.75, [item.item_id for item in items])
    result = compare(
        lambda: Consumer(settings, items, True, rules).run(NUM_EVENTS),
        lambda: Consumer(settings, items, False).run(NUM_EVENTS),
        NUM_PAIRS,
    )
    low, high = result["interval_95"]
    return {
        "rate_ratio": 1 / result["time_ratio"],
        "interval_95": (1 / high, 1 / low),
        "drawn_events_per_s": NUM_EVENTS / statistics.median(result["subject_s"]),
        "without_samples_events_per_s": NUM_EVENTS / statistics.median(result["baseline_s"]),
    }
