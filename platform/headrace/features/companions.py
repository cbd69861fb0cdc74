"""Companions: of each item those that users chose in a session with it, a sketch of bounded size.

The stream counts them out of users' sessions, and merges and publishes them as it does rows of
items, in rows of a kind of their own: no feature and no view is made of them, so they are in none
of the schemas. A row's header has the state schema of its build all the same.

Q items   K companions of each
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.accumulators import State, Values
from headrace.features.aggregation.aggregators import TopKeys
from headrace.features.aggregation.facts import VALUE, Ints
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.aggregation.top_items import FadingTopItems

COMPANIONS: Final = "companions"  # the kind of entity, whose ids are those of items
MOST: Final = 20  # of an item
HALF_LIFE_MS: Final = 7 * 86_400_000
WEIGHT: Final = VALUE  # the measure of a fact about a pair

_KEPT: Final = FadingTopItems(HALF_LIFE_MS, MOST, WEIGHT)
_NAME: Final = "companions_top"
COMPANION_LAYOUT: Final = Layout(
    COMPANIONS,
    [
        Feature(
            _NAME, COMPANIONS, TopKeys(_KEPT, MOST), "the items it is chosen with", (MOST,), False
        )
    ],
)


def companions_of(state_Q: State, now_ms: int) -> tuple[Ints, Values]:
    """[Q, K] each: the keys of the items that were chosen with each item, 0 where there are fewer,
    and how often that was, what is long ago counting less."""
    top_Q = _KEPT.read(state_Q[_NAME], np.full(len(state_Q), now_ms))
    return top_Q["key"], top_Q["sum"].astype(np.float64)
