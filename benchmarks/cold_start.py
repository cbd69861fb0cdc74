"""`make bench ARGS="cold_start"`: what slates of new users are worth, request by request.

A simulated shop of users with tastes: each likes one of twelve categories more than the others,
and has an attribute that tells which in seven of ten cases. Users come, and new ones among them; a
slate is worth the clicks that its user would give it. The stream, the learner and the stages of a
request are the platform's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.exploration import asked
from headrace import config
from headrace.application.seen import SeenPolicy
from headrace.catalogue.item import Dataset, Item, User
from headrace.evaluation.slates.asked import AskedSlates
from headrace.evaluation.slates.learner import WalkLearner
from headrace.evaluation.slates.replica import JUDGED, SlateRules, WalkedReplica
from headrace.event import ImpressionEvent, Shown

NUM_ITEMS, NUM_CATEGORIES, PLACES, CANDIDATES = 600, 12, 10, 60
RATE, LIKED = 0.04, 5.0  # of clicks, and times as many in the category that a user likes
NUM_USERS, NUM_NEW = 400, 120
BEFORE, REQUESTS_OF_NEW = 4_000, 20
TOLD: Final = 0.7  # of the users, whose attribute is that of their taste
REACHED: Final = 0.9  # of what slates of users who were there before are worth
SOURCES: Final = {"covisited": 0.25, "best_categories": 0.5, "trending": 1.0}
VARIANTS: Final = {
    "no_attributes": (False, SOURCES),
    "attributes": (True, SOURCES),
    "attributes_and_segments": (True, {"segment": 0.25, **SOURCES}),
}
START_MS, EVERY_MS = 1_714_554_000_000, 5_000


@dataclass(frozen=True, slots=True)
class Town:
    """Users and their tastes, and how probable a click of each on each item is."""

    taste_U: NDArray[np.int64]
    told_U: NDArray[np.int64]
    p_UI: NDArray[np.float64]

    @classmethod
    def of(cls, seed: int) -> Town:
        """Users of whom the last are new."""
        random, num = np.random.default_rng(seed), NUM_USERS + NUM_NEW
        taste_U = random.integers(NUM_CATEGORIES, size=num)
        other_U = random.integers(NUM_CATEGORIES, size=num)
        rate_I = RATE * np.exp(random.normal(0, 0.5, NUM_ITEMS))
        is_liked_UI = np.arange(NUM_ITEMS) % NUM_CATEGORIES == taste_U[:, None]
        told_U = np.where(random.random(num) < TOLD, taste_U, other_U)
        return cls(taste_U, told_U, np.minimum(rate_I * np.where(is_liked_UI, LIKED, 1.0), 0.9))

    def dataset(self, with_attributes: bool) -> Dataset:
        """The catalogue, and the users with what they tell."""
        items = tuple(
            Item(f"i{n}", f"item {n}", (f"c{n % NUM_CATEGORIES}",)) for n in range(NUM_ITEMS)
        )
        told = [(f"group={one}",) if with_attributes else () for one in self.told_U.tolist()]
        users = tuple(User(f"u{n}", words) for n, words in enumerate(told))
        return Dataset("simulated", items, users, lambda: iter(()), 0, START_MS, START_MS)


def run(_: argparse.Namespace) -> dict[str, Any]:
    """By variant: what slates are worth, as shares of the best that there are."""
    torch.set_num_threads(1)
    return {name: measured(Town.of(0), *variant) for name, variant in VARIANTS.items()}


def measured(town: Town, with_attributes: bool, sources: dict[str, float]) -> dict[str, Any]:
    """Of users who were there before, and of new ones by the number of their request."""
    dataset = town.dataset(with_attributes)
    settings = config.changed(config.load(), max_candidates=CANDIDATES)
    learner = WalkLearner(dataset, settings, AskedSlates(), ())
    shop = replace(JUDGED.application, sources=sources)
    rules = SlateRules(shop, SeenPolicy("always"), blends=False)
    replica = WalkedReplica(dataset, settings, learner, rules)
    random = np.random.default_rng(1)
    turns = [*random.integers(NUM_USERS, size=BEFORE).tolist()]
    new = random.permutation(np.repeat(np.arange(NUM_NEW), REQUESTS_OF_NEW)) + NUM_USERS
    old = random.integers(NUM_USERS, size=len(new))
    turns += np.stack([new, old], axis=1).reshape(-1).tolist()
    worth: list[list[float]] = [[] for _ in town.taste_U]
    for number, user in enumerate(turns):
        worth[user].append(share(town, user, slate(replica, town, number, user, random)))
    by_request = np.mean([worth[user] for user in range(NUM_USERS, len(worth))], axis=0)
    late = [one for user in range(NUM_USERS) for one in worth[user][-5:]]
    return report(by_request, float(np.mean(late)))


def slate(
    replica: WalkedReplica, town: Town, number: int, user: int, random: np.random.Generator
) -> list[int]:
    """The items of a user's slate, which he clicks as he likes them."""
    now_ms = START_MS + number * EVERY_MS
    point = asked(number, now_ms, f"u{user}", f"q{number}")
    items = [row - 1 for row in replica.slate(point, PLACES).candidates.row_C.tolist()]
    clicked = random.random(len(items)) < town.p_UI[user, items]
    shown = tuple(
        Shown(f"i{item}", place, clicked=bool(came))
        for place, (item, came) in enumerate(zip(items, clicked, strict=True))
    )
    replica.take(number, ImpressionEvent(f"q{number}", now_ms, f"u{user}", f"q{number}", shown))
    return items


def share(town: Town, user: int, items: Sequence[int]) -> float:
    """The clicks that a slate is worth to a user, over those of the best slate."""
    p_I = town.p_UI[user]
    return float(p_I[list(items)].sum() / np.sort(p_I)[-PLACES:].sum())


def report(by_request: NDArray[np.float64], before: float) -> dict[str, Any]:
    """The figures of a variant."""
    smooth = np.convolve(by_request, np.ones(3) / 3, "valid")  # of three requests
    reached = np.flatnonzero(smooth >= REACHED * before)
    return {
        "of_users_from_before": round(before, 3),
        "by_request": [round(float(one), 3) for one in by_request],
        "requests_until_personal": int(reached[0]) + 1 if len(reached) else None,
    }
