"""`make bench ARGS="exploration"`: how soon a new item finds its place, and what exploring costs.

A shop of a hundred items whose click rates are known to the simulation alone: the platform's
stream, learner and stages of a request meet simulated users, who click by these rates. Once the
rates are learned an item appears that is clicked twice as often as the mean. Each policy meets the
same users, items and chances.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace import config
from headrace.application.current import APPLICATION
from headrace.application.exploration import Exploration
from headrace.application.seen import SeenPolicy
from headrace.catalogue.item import Dataset, Item
from headrace.evaluation.slates.asked import AskedSlates
from headrace.evaluation.slates.learner import WalkLearner
from headrace.evaluation.slates.points import Point, Visitor
from headrace.evaluation.slates.replica import SlateRules, WalkedReplica
from headrace.event import DEFAULT_SURFACE, ClickEvent, ImpressionEvent, Shown

POLICIES: Final = {
    "greedy": Exploration(),
    "epsilon_greedy_05": Exploration("epsilon_greedy", epsilon=0.05),
    "epsilon_greedy_20": Exploration("epsilon_greedy", epsilon=0.2),
    "fresh_05": Exploration(fresh=0.05),
    "thompson": Exploration("thompson", draws=50),
}
NUM_ITEMS, NUM_USERS, PLACES = 100, 2_000, 10
MEAN_RATE: Final = 0.05
DEVIATION: Final = 0.5  # of log odds between items
REQUESTS_BEFORE, REQUESTS_AFTER = 2_000, 3_000
SEEDS: Final = (0, 1, 2)
# The new item is at its place from the first request on after which so many slates have it, of all
# that are left and of so many at least.
REACHED, WINDOW = 0.8, 100
START_MS: Final = 1_714_554_000_000
EVERY_MS: Final = 2_000  # a request


@dataclass(frozen=True, slots=True)
class Shop:
    """Items with their true click rates; the last one is new."""

    rate_I: NDArray[np.float64]
    arrival_ms: int = START_MS + REQUESTS_BEFORE * EVERY_MS

    @classmethod
    def of(cls, seed: int) -> Shop:
        """A shop whose new item has twice the mean rate of the others."""
        odds_I = np.random.default_rng(seed).normal(0, DEVIATION, NUM_ITEMS)
        rate_I = MEAN_RATE * np.exp(odds_I - odds_I.var() / 2)
        return cls(np.r_[rate_I, 2 * rate_I.mean()])

    def dataset(self) -> Dataset:
        """The catalogue, the new item there from its arrival on."""
        items = [Item(f"i{n}", f"item {n}") for n in range(NUM_ITEMS)]
        new = Item(f"i{NUM_ITEMS}", "new", available_from_ms=self.arrival_ms)
        return Dataset("simulated", (*items, new), (), lambda: iter(()), 0, START_MS, START_MS)

    def best(self, is_there: bool) -> float:
        """The clicks that a slate of the best would have."""
        there_I = self.rate_I if is_there else self.rate_I[:-1]
        return float(np.sort(there_I)[-PLACES:].sum())


def run(_: argparse.Namespace) -> dict[str, Any]:
    """By policy, the means over the seeds; then ratios of Thompson sampling to the others."""
    torch.set_num_threads(1)
    of_policy = {
        name: [
            outcome(list(slates(Shop.of(seed), exploration, seed)), Shop.of(seed)) for seed in SEEDS
        ]
        for name, exploration in POLICIES.items()
    }
    found = {
        name: {key: [one[key] for one in of] for key in of[0]} for name, of in of_policy.items()
    }
    lost = {
        name: float(np.mean(np.array(of["lost_clicks_after"], np.float64)))
        for name, of in found.items()
    }
    ratios = {name: round(lost["thompson"] / lost[name], 3) for name in POLICIES}
    return {"policies": found, "thompson_lost_clicks_over": ratios}


def slates(shop: Shop, exploration: Exploration, seed: int) -> Iterator[list[int]]:
    """The items of each slate; their users click by the shop's rates."""
    random, dataset = np.random.default_rng(seed), shop.dataset()
    settings, sources = config.load(), {"fresh": 0.1, **APPLICATION.sources}
    application = replace(APPLICATION, exploration=exploration, sources=sources)
    learner = WalkLearner(dataset, settings, AskedSlates(seed=seed), (), with_deviations=True)
    rules = SlateRules(application, SeenPolicy("always"), blends=False)
    replica = WalkedReplica(dataset, settings, learner, rules)
    for number in range(REQUESTS_BEFORE + REQUESTS_AFTER):
        now_ms, user = START_MS + number * EVERY_MS, f"u{random.integers(NUM_USERS)}"
        request_id = f"{seed}-{number}"
        point = asked(number, now_ms, user, request_id)
        context = replica.slate(point, PLACES)
        items = [row - 1 for row in context.candidates.row_C.tolist()]
        chance_I = random.random(len(shop.rate_I))  # of this user today: the same for each policy
        shown = tuple(
            Shown(f"i{item}", place, clicked=bool(chance_I[item] < shop.rate_I[item]))
            for place, item in enumerate(items)
        )
        event = ImpressionEvent(request_id, now_ms, user, request_id, shown, DEFAULT_SURFACE)
        replica.take(number, event)
        yield items


def asked(number: int, now_ms: int, user: str, request_id: str) -> Point:
    """A request of a user for a slate."""
    event = ClickEvent(request_id, now_ms, user, "none")
    none = frozenset[int]()
    return Point(number, event, Visitor(), none, none, is_test=True, is_first=False)


def outcome(slates: list[list[int]], shop: Shop) -> dict[str, float | None]:
    """When the new item came to its place, and how many clicks the slates lost to the best."""
    before, after = slates[:REQUESTS_BEFORE], slates[REQUESTS_BEFORE:]
    late = before[REQUESTS_BEFORE // 2 :]
    is_in_R = np.array([NUM_ITEMS in items for items in after])
    left_R = np.arange(len(after), 0, -1)  # requests from each on
    stays_R = np.cumsum(is_in_R[::-1])[::-1] >= REACHED * left_R
    found = np.flatnonzero(stays_R & (left_R >= WINDOW))
    reached = int(found[0]) if len(found) else None
    lost_before = sum(shop.best(False) - shop.rate_I[items].sum() for items in late)
    lost = sum(shop.best(True) - shop.rate_I[items].sum() for items in after)
    return {
        "requests_until_its_place": reached,
        "impressions_until_its_place": None if reached is None else int(is_in_R[:reached].sum()),
        "impressions": int(is_in_R.sum()),
        "place": int((shop.rate_I > shop.rate_I[-1]).sum()),
        "lost_clicks_before": round(float(lost_before), 1),
        "lost_clicks_after": round(float(lost), 1),
        "best_clicks_after": round(shop.best(True) * len(after), 1),
    }
