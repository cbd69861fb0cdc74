"""Surface trends: a sketch of bounded size of the items that were clicked of late on each surface.

The stream merges and publishes them as it does rows of items, in rows of a kind of their own, as it
does companions: they are in no schema and no view. A surface goes by its byte, as in states; the
numbers behind 255 are segments (`headrace.features.segments`).

Q surfaces   K items of each
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import CLICK
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.aggregators import TopKeys
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.aggregation.top_items import FadingTopItems
from headrace.features.companions import COMPANION_LAYOUT

SURFACE_TRENDS: Final = (
    "surface_trends"  # the kind of entity, whose ids are bytes of surfaces, and segments
)
MOST: Final = 128  # of a surface
HALF_LIFE_MS: Final = 86_400_000

_KEPT: Final = FadingTopItems(HALF_LIFE_MS, MOST, CLICK)
_NAME: Final = "surface_top"
SURFACE_LAYOUT: Final = Layout(
    SURFACE_TRENDS,
    [
        Feature(
            _NAME,
            SURFACE_TRENDS,
            TopKeys(_KEPT, MOST),
            "the items clicked on it",
            (MOST,),
            False,
        )
    ],
)
UNVIEWED: Final = (COMPANION_LAYOUT, SURFACE_LAYOUT)  # the kinds that are in no view


def trends_of(state_1: State, now_ms: int) -> Ints:
    """[K]: the keys of the items that are clicked most on a surface, the first most of all."""
    return shares_of(state_1, now_ms)[0]


def shares_of(state_1: State, now_ms: int) -> tuple[Ints, NDArray[np.float64]]:
    """[K], [K]: the same, and the share of all their clicks that each has."""
    top_1 = _KEPT.read(state_1[_NAME], np.array([now_ms]))
    key_K, sum_K = top_1["key"][0], top_1["sum"][0]
    order_K = np.argsort(-sum_K, kind="stable")
    order_K = order_K[: int((sum_K > 0).sum())]
    kept_K = sum_K[order_K].astype(np.float64)
    return key_K[order_K], kept_K / max(float(kept_K.sum()), 1e-30)
