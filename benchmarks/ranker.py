"""FuseRank against FuxiCTR's DIN: training samples, and 500 candidates; batches are made before.

Both on one thread, DIN in a process of its own, steps of one and of the other in turn.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.pairs import compare_timed, seconds
from benchmarks.peers import environment
from headrace.action import BIT, CLICK
from headrace.catalogue.item import Item
from headrace.catalogue.words import ContentTable, user_word_keys
from headrace.features.aggregation.facts import Ints
from headrace.features.inputs import NUM_DENSE, RATES, RequestFeatures
from headrace.keys import key
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch, BatchRequest, make_batch, make_items, make_request_batch
from headrace.model.config import SIZES, RankerConfig
from headrace.model.ranker import Ranker

NUM_ITEMS, NUM_USERS = 5_000, 20_000
BATCH = 1_000  # candidates of a training step
GROUPS = (10, 1)  # candidates of a request in training
CANDIDATES = 500  # of a request in serving
FEW, MANY = 50, 5_000  # that the user's side takes as long for
STEPS = {"train": 3, "score": 20}  # timed at once
DIN_SIZES = {
    "rows": BATCH,
    "candidates": CANDIDATES,
    "inputs": 75,  # numbers, the user, the item, the action of a past event, and attributes
    "dense": NUM_DENSE,
    "users": NUM_USERS,
    "items": NUM_ITEMS,
}

Din = Callable[[str, int], float]


def run() -> dict[str, Any]:
    """By size: how many times DIN's training samples/s, and DIN's time for 500 candidates."""
    torch.set_num_threads(1)
    content = ContentTable(catalogue())
    result: dict[str, Any] = {}
    with environment.steps(DIN_SIZES) as din:
        for size in ("nano", "base"):
            config = replace(SIZES[size](NUM_DENSE), rates=RATES)
            for group in GROUPS:
                learner, batch = trained(config, content, group)
                compared = against(din, "train", partial(learner.learn, batch))
                result[f"{size}_train_vs_din_requests_of_{group}"] = with_samples(compared)
            serving = Serving(learner.ranker, content)
            compared = against(din, "score", serving.scores(CANDIDATES))
            result[f"{size}_{CANDIDATES}_candidates_vs_din"] = with_ms(compared)
            many, few = (timed("score", serving.user_side(num)) for num in (MANY, FEW))
            result[f"{size}_user_side_{MANY}_vs_{FEW}"] = with_ms(compare_timed(many, few))
    return result


def against(din: Din, name: str, step: Callable[[], object]) -> dict[str, Any]:
    """Our steps against as many of DIN's, after one of each that is not measured."""
    din(name, 1)
    return compare_timed(timed(name, step), partial(din, name, STEPS[name]))


def timed(name: str, step: Callable[[], object]) -> Callable[[], float]:
    """The seconds of so many steps, after one that is not measured."""
    step()
    return partial(seconds, lambda: [step() for _ in range(STEPS[name])])


def with_samples(compared: dict[str, Any]) -> dict[str, Any]:
    """The same, with how many times the baseline's samples a second these are, and both."""
    per_s = {
        f"{who}_samples_per_s": STEPS["train"] * BATCH / statistics.median(compared[f"{who}_s"])
        for who in ("subject", "baseline")
    }
    return {"samples_ratio": 1 / compared["time_ratio"], **per_s, **compared}


def with_ms(compared: dict[str, Any]) -> dict[str, Any]:
    """The same, with the milliseconds of one step of both."""
    ms = {
        f"{who}_ms": 1e3 * statistics.median(compared[f"{who}_s"]) / STEPS["score"]
        for who in ("subject", "baseline")
    }
    return {**ms, **compared}


def trained(config: RankerConfig, content: ContentTable, group: int) -> tuple[OnlineLearner, Batch]:
    """An online learner, and the requests of `group` candidates that it has learned from once."""
    learner = OnlineLearner(config, 0, window=1 << 62)
    requests = [request(seed, group, config.history) for seed in range(BATCH // group)]
    batch = make_batch(requests, content, config.history)
    learner.learn(batch)
    return learner, batch


class Serving:
    """A ranker, and its sides of all items."""

    def __init__(self, ranker: Ranker, content: ContentTable) -> None:
        self._ranker, self._history = ranker.eval(), ranker.config.history
        with torch.inference_mode():
            self._cache = ranker.cache(make_items(np.array([0, *ITEM_KEYS]), content))

    def scores(self, num: int) -> Callable[[], object]:
        """The logits of a request's candidates, user side included."""
        serve = torch.inference_mode()(self._ranker.serve)
        return partial(serve, self._batch(num), self._cache)

    def user_side(self, num: int) -> Callable[[], object]:
        """The user side alone."""
        user_side = torch.inference_mode()(self._ranker.user_side)
        return partial(user_side, self._batch(num), self._cache.items)

    def _batch(self, num: int) -> Batch:
        """A user with a full history, and items of the catalogue."""
        draw = np.random.default_rng(0)
        rows = draw.integers(1, NUM_ITEMS, self._history), draw.integers(1, NUM_ITEMS, num)
        return make_request_batch(request(1, num, self._history), *rows)


def request(seed: int, num: int, num_events: int, keys: Ints | None = None) -> BatchRequest:
    """A user with a full history, and their candidates, drawn from these items."""
    draw, from_keys = np.random.default_rng(seed), ITEM_KEYS if keys is None else keys
    history_3T = np.stack(
        [
            draw.choice(from_keys, num_events),
            np.sort(draw.integers(0, 7 * 86_400_000, num_events)),
            draw.integers(0, 2, num_events),
        ]
    )
    label_N1 = draw.integers(0, 2, (num, 1))
    return BatchRequest(
        user_key=key(f"u{draw.integers(NUM_USERS)}"),
        user_words=user_word_keys(("age=3", "city=7")),
        item_keys=draw.choice(from_keys, num).tolist(),
        features=RequestFeatures(draw.random((num, NUM_DENSE), np.float32), history_3T),
        label_NJ=label_N1.astype(np.float32),
        outcome_N=label_N1[:, 0] * BIT[CLICK],
    )


def catalogue() -> dict[str, Item]:
    """Items with a title, a category and an author."""
    return {
        f"i{n}": Item(
            f"i{n}", f"word{n % 97} word{n % 89}", (f"c{n % 20}",), (f"author={n % 500}",)
        )
        for n in range(NUM_ITEMS)
    }


ITEM_KEYS = np.array([key(f"i{n}") for n in range(NUM_ITEMS)])
