"""From states to the ranker's inputs: the one function that training and serving both call.

B requests   N candidates of all requests   F features   T history   S category slots
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.accumulators import State
from headrace.features.aggregators import Rate
from headrace.features.facts import Ints
from headrace.features.table import ITEM_LAYOUT, LAST, USER_LAYOUT

CROSSES: Final = ("category_rate_mean", "category_rate_max")  # of the user, over the item's slots
DENSE_NAMES: Final = (
    *(feature.name for feature in (*USER_LAYOUT.dense, *ITEM_LAYOUT.dense)),
    *CROSSES,
)
NUM_DENSE: Final = len(DENSE_NAMES)
RATES: Final = tuple(  # the places of features that lie between 0 and 1
    place
    for place, feature in enumerate((*USER_LAYOUT.dense, *ITEM_LAYOUT.dense))
    if isinstance(feature.aggregator, Rate)
)
HISTORY_LENGTH: Final = LAST.length


@dataclass(frozen=True, slots=True)
class RequestFeatures:
    """What the ranker reads about one request, beside ids and content."""

    dense_NF: NDArray[np.float32]
    history_3T: Ints  # item keys (0: empty), ages in ms, action bits (1: clicked)


def assemble(
    user_state_B: State,
    item_state_N: State,
    slot_NS: Ints,
    request_N: Ints,
    now_ms_B: Ints,
) -> list[RequestFeatures]:
    """The features of B requests at a time of their own each.

    `request_N` says whose each candidate is, in ascending order; `slot_NS` are the candidates'
    category slots, padded with -1.
    """
    user_BF = USER_LAYOUT.dense_values(user_state_B, now_ms_B)
    item_NF = ITEM_LAYOUT.dense_values(item_state_N, now_ms_B[request_N])
    rates_BK = USER_LAYOUT.value("user_category_rates", user_state_B, now_ms_B)
    cross_N2 = _crosses(rates_BK, slot_NS, request_N)
    dense_NF = np.concatenate([user_BF[request_N], item_NF, cross_N2], axis=1)
    history_B4T = USER_LAYOUT.value("user_history", user_state_B, now_ms_B)
    bounds = np.searchsorted(request_N, np.arange(len(now_ms_B) + 1)).tolist()
    return [
        RequestFeatures(dense_NF[start:end], history_B4T[request, :3])
        for request, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False))
    ]


def _crosses(rates_BK: NDArray[np.float64], slot_NS: Ints, request_N: Ints) -> NDArray[np.float32]:
    """[N, 2]: mean and maximum of the user's rates in the candidate's slots; zeros without any."""
    has_NS = slot_NS >= 0
    rate_NS = np.where(has_NS, rates_BK[request_N[:, None], np.maximum(slot_NS, 0)], 0.0)
    mean_N = rate_NS.sum(1) / np.maximum(has_NS.sum(1), 1)
    max_N = np.where(has_NS, rate_NS, -np.inf).max(1, initial=-np.inf)
    max_N = np.where(np.isfinite(max_N), max_N, 0.0)
    return np.stack([mean_N, max_N], axis=1).astype(np.float32)
