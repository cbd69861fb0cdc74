"""The stage `explore`: a ranked list becomes the policy's slate, each item with its propensity.

It is the last to change the order: what it draws is not ordered again, and so the probabilities
that it logs are those of the places in the answer. Items that are pinned, or that only come back
for want of others, stay where they are, with propensity 1, and are not drawn for other places.

Where scores were drawn, the first draw makes the slate. A place in the re-ranked list is worth what
the ranker's list has there, and an item as much more or less as its own draw is off its score: so
the draws of a list that nothing has re-ranked are those of its scores.

    C candidates   N those that may be drawn   K places of the slate for them
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from headrace.application.exploration import Exploration
from headrace.events.serving_policy import ServingPolicy
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import ABSENT
from headrace.pipeline.context import Context
from headrace.pipeline.exploration.draws import generator
from headrace.pipeline.exploration.estimate import estimated
from headrace.pipeline.exploration.mixture import Floats, Mixture
from headrace.pipeline.rerank.outranked import Outranked

SLATE: Final = "slate"  # names the random numbers of this stage
FRESH: Final = "fresh"  # the source whose items are fresh


class Explore:
    """The work of the stage: truncates the list to a slate as the policy draws it."""

    def __init__(self, exploration: Exploration) -> None:
        self.exploration, self.policy = exploration, policy_of(exploration)
        self._mixture = Mixture(exploration.epsilon, exploration.fresh)

    def __call__(self, context: Context) -> None:
        """Keep the slate's items, and note how probable each was at its place."""
        candidates = context.candidates
        num_items = min(context.num_items, len(candidates))
        slate, propensity = np.arange(num_items), np.ones(num_items)
        if candidates.drawn_DC is not None or self._mixture != Mixture():
            fixed = (*context.seen_again, *context.over_cap, *context.pinned)
            drawn_N = np.flatnonzero(context.outside(fixed))
            num_places = int((drawn_N < num_items).sum())
            chosen_K, propensity_K = self._drawn(context, drawn_N, num_places)
            slate[drawn_N[:num_places]] = drawn_N[chosen_K]
            propensity[drawn_N[:num_places]] = propensity_K
        candidates.keep(slate, Outranked.name)
        candidates.propensity_C = propensity

    def _drawn(self, context: Context, drawn_N: Ints, num_places: int) -> tuple[Ints, Floats]:
        """[K], [K]: places in the list of those that may be drawn, and their propensities."""
        candidates, random = context.candidates, generator(context.request_id, SLATE)
        is_fresh_N = candidates.rank_in(FRESH)[drawn_N] != ABSENT
        if candidates.drawn_DC is None or candidates.score_C is None:
            chosen_K = self._mixture.drawn(num_places, is_fresh_N, random)
            return chosen_K, self._mixture.propensities(chosen_K, is_fresh_N)
        off_DN = candidates.drawn_DC[:, drawn_N] - candidates.score_C[drawn_N]
        listed_N = -np.sort(-candidates.score_C[drawn_N])
        order_N = np.argsort(-(listed_N + off_DN[0]), kind="stable")
        chosen_K = order_N[self._mixture.drawn(num_places, is_fresh_N[order_N], random)]
        return chosen_K, estimated(self._mixture, listed_N + off_DN, chosen_K, is_fresh_N)


def policy_of(exploration: Exploration) -> ServingPolicy:
    """The policy as impressions name it; its version is made of its parameters."""
    said = msgspec.json.encode(exploration)
    version = blake2b(said, digest_size=4).hexdigest()
    return ServingPolicy(exploration.policy, version, exploration.num_draws)
