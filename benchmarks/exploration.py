"""`make bench ARGS="exploration"`: how soon a new item finds its place, and what exploring costs.

A shop of a hundred items whose click rates are known to the simulation alone: the platform's
stream, learner and stages of a request meet simulated users, who click by these rates. Once the
rates are learned items appear that are clicked twice as often as the mean. Each policy meets the
same users, items and chances.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
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
    "fresh_05": Exploration(fresh=0.05),
    "thompson": Exploration("thompson", draws=50, item_deviation=0.25),
}
NUM_ITEMS, NUM_NEW, NUM_USERS, PLACES = 100, 4, 2_000, 10
MEAN_RATE: Final = 0.05
DEVIATION: Final = 0.5  # of log odds between items
REQUESTS_BEFORE, REQUESTS_AFTER = 1_000, 1_500
SEEDS: Final = (1, 2)
# A new item is at its place from the first request on after which so many slates have it, of all
# that are left and of so many at least.
REACHED, WINDOW = 0.5, 100
START_MS: Final = 1_714_554_000_000
EVERY_MS: Final = 2_000  # a request


@dataclass(frozen=True, slots=True)
class Shop:
    """Items with their true click rates, of which the last are new."""

    rate_I: NDArray[np.float64]

    @classmethod
    def of(cls, seed: int) -> Shop:
        """A shop whose new items have twice the mean rate of the others."""
        odds_I = np.random.default_rng(seed).normal(0, DEVIATION, NUM_ITEMS)
        rate_I = MEAN_RATE * np.exp(odds_I - odds_I.var() / 2)
        return cls(np.r_[rate_I, np.full(NUM_NEW, 2 * rate_I.mean())])

    def dataset(self) -> Dataset:
        """The catalogue, the new items there from their arrival on."""
        items = [Item(f"i{n}", f"item {n}") for n in range(NUM_ITEMS)]
        at_ms = START_MS + REQUESTS_BEFORE * EVERY_MS
        new = [Item(f"i{NUM_ITEMS + n}", "new", available_from_ms=at_ms) for n in range(NUM_NEW)]
        return Dataset("simulated", (*items, *new), (), lambda: iter(()), 0, START_MS, START_MS)

    def best(self, are_there: bool) -> float:
        """The clicks that a slate of the best would have."""
        there_I = self.rate_I if are_there else self.rate_I[:NUM_ITEMS]
        return float(np.sort(there_I)[-PLACES:].sum())


def run(_: argparse.Namespace) -> dict[str, Any]:
    """The outcomes by policy, and Thompson sampling's lost clicks over those of each."""
    torch.set_num_threads(1)
    found = {
        name: summary([measured(one, seed) for seed in SEEDS]) for name, one in POLICIES.items()
    }
    lost = {
        name: found["thompson"]["lost_clicks"] / of["lost_clicks"] for name, of in found.items()
    }
    return {"policies": found, "thompson_lost_clicks_over": lost}


def measured(exploration: Exploration, seed: int) -> dict[str, Any]:
    """The outcome of one simulated shop."""
    shop = Shop.of(seed)
    return outcome(list(slates(shop, exploration, seed)), shop)


def summary(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The outcomes of all shops: how many new items came to their place and when, and the clicks
    that slates lost to the best, in a shop's mean."""
    every = [item for one in outcomes for item in one["new_items"]]
    there = [item for item in every if item["impressions_until"] is not None]
    return {
        "new_items": len(every),
        "at_their_place": len(there),
        **{
            f"{name}_median": float(np.median([item[name] for item in there])) if there else None
            for name in ("requests_until", "impressions_until")
        },
        "lost_clicks": round(float(np.mean([one["lost_clicks"] for one in outcomes])), 1),
        "best_clicks": round(float(np.mean([one["best_clicks"] for one in outcomes])), 1),
        "outcomes": list(outcomes),
    }


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


def outcome(slates: Sequence[Sequence[int]], shop: Shop) -> dict[str, Any]:
    """When each new item came to its place, and how many clicks slates lost to the best, from the
    arrival of the new items on."""
    after = slates[REQUESTS_BEFORE:]
    lost = sum(shop.best(True) - shop.rate_I[list(items)].sum() for items in after)
    return {
        "new_items": [arrival(after, NUM_ITEMS + n) for n in range(NUM_NEW)],
        "lost_clicks": round(float(lost), 1),
        "best_clicks": round(shop.best(True) * len(after), 1),
    }


def arrival(slates: Sequence[Sequence[int]], item: int) -> dict[str, int | None]:
    """How many requests and impressions an item was there for, until it was at its place."""
    is_in_R = np.array([item in items for items in slates])
    left_R = np.arange(len(slates), 0, -1)  # requests from each on
    stays_R = np.cumsum(is_in_R[::-1])[::-1] >= REACHED * left_R
    found = np.flatnonzero(stays_R & (left_R >= WINDOW))
    first = int(found[0]) if len(found) else None
    return {
        "requests_until": first,
        "impressions_until": None if first is None else int(is_in_R[:first].sum()),
        "impressions": int(is_in_R.sum()),
    }
