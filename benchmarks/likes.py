"""MovieLens as likes only: nothing was shown, and nothing disliked, as far as the log tells.

The whole catalogue ranked before each like of the last fifth, while the learner goes on, beside the
most popular films of the run (`headrace evaluate --online`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headrace import config
from headrace.catalogue.item import Dataset
from headrace.datasets.registry import load_dataset
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.run import evaluate
from headrace.event import ClickEvent, ImpressionEvent


def run() -> dict[str, Any]:
    """The report of the evaluation."""
    likes = likes_of(load_dataset("movielens", None))
    return evaluate(likes, config.settings(), Asked(online=True, num_draws=1_000))


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
