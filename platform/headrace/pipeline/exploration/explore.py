"""The stage `explore`: a ranked list becomes the policy's slate, each item with its propensity.

It is the last to change the order: what it draws is not ordered again, and so the probabilities
that it logs are those of the places in the answer. Items that only come back for want of others
stay where they are, with propensity 1, and nothing is drawn from them.

    C candidates   N those that may be drawn   K places of the slate for them
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from headrace.application.exploration import Exploration
from headrace.events.serving_policy import ServingPolicy
from headrace.pipeline.candidates import ABSENT
from headrace.pipeline.context import Context
from headrace.pipeline.exploration.draws import generator
from headrace.pipeline.exploration.mixture import Mixture
from headrace.pipeline.rerank.outranked import Outranked

FRESH: Final = "fresh"  # the source whose items are fresh


class Explore:
    """The work of the stage: truncates the list to a slate as the policy draws it."""

    def __init__(self, exploration: Exploration) -> None:
        self._mixture = Mixture(exploration.epsilon, exploration.fresh)
        self.policy = policy_of(exploration)

    def __call__(self, context: Context) -> None:
        """Keep the slate's items, and note how probable each was at its place."""
        candidates = context.candidates
        num_items = min(context.num_items, len(candidates))
        slate, propensity = np.arange(num_items), np.ones(num_items)
        if self._mixture != Mixture():
            drawn_N = np.flatnonzero(context.outside(context.seen_again))
            num_places = int((drawn_N < num_items).sum())
            is_fresh_N = candidates.rank_in(FRESH)[drawn_N] != ABSENT
            random = generator(context.request_id)
            chosen_K = self._mixture.drawn(num_places, is_fresh_N, random)
            slate[drawn_N[:num_places]] = drawn_N[chosen_K]
            propensity[drawn_N[:num_places]] = self._mixture.propensities(chosen_K, is_fresh_N)
        candidates.keep(slate, Outranked.name)
        candidates.propensity_C = propensity


def policy_of(exploration: Exploration) -> ServingPolicy:
    """The policy as impressions name it; its version is made of its parameters."""
    said = msgspec.json.encode(exploration)
    return ServingPolicy(exploration.policy, blake2b(said, digest_size=4).hexdigest())
