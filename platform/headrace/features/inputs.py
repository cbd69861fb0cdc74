"""From states to the ranker's inputs: the one function that training and serving both call.

B requests   N candidates of all requests   F features   T history   S category slots   A actions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import TABLE
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.aggregators import Rate
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.sequence import Recent
from headrace.features.table import ITEM_LAYOUT, LAST, USER_LAYOUT, strength_of_last

OUTCOMES: Final = Recent(LAST, LAST.length)
SURFACE_RATES: Final = {  # of the user's last outcomes on the surface of the request
    f"user_surface_{one.name}_rate": Rate(one.name, OUTCOMES, one.prior, strength_of_last(one))
    for one in TABLE
}
CATEGORY_RATES: Final = ("category_rate_mean", "category_rate_max")  # of the user, in the item's
CROSSES: Final = (*SURFACE_RATES, *CATEGORY_RATES)
_OF_ONE: Final = (*USER_LAYOUT.dense, *ITEM_LAYOUT.dense)
DENSE_NAMES: Final = (*(feature.name for feature in _OF_ONE), *CROSSES)
NUM_DENSE: Final = len(DENSE_NAMES)
RATES: Final = (  # the places of features that lie between 0 and 1
    *(place for place, of in enumerate(_OF_ONE) if isinstance(of.aggregator, Rate)),
    *range(len(_OF_ONE), len(_OF_ONE) + len(SURFACE_RATES)),
)
HISTORY_LENGTH: Final = LAST.length


@dataclass(frozen=True, slots=True)
class RequestFeatures:
    """What the ranker reads about one request, beside ids and content."""

    dense_NF: NDArray[np.float32]
    history_3T: Ints  # item keys (0: empty), ages in ms, outcomes


def assemble(
    user_state_B: State,
    item_state_N: State,
    slot_NS: Ints,
    surface_B: Ints,
    request_N: Ints,
    now_ms_B: Ints,
) -> list[RequestFeatures]:
    """The features of B requests, each at a time and on a surface of its own.

    `request_N` says whose each candidate is, in ascending order; `slot_NS` are the candidates'
    category slots, padded with -1; surfaces are numbered by `headrace.keys.surface_code`.
    """
    user_BF = USER_LAYOUT.dense_values(user_state_B, now_ms_B)
    item_NF = ITEM_LAYOUT.dense_values(item_state_N, now_ms_B[request_N])
    rates_BK = USER_LAYOUT.value("user_category_rates", user_state_B, now_ms_B)
    on_surface_BA = _on_surface(user_state_B, surface_B, now_ms_B)
    in_categories_N2 = _in_categories(rates_BK, slot_NS, request_N)
    crosses = (on_surface_BA[request_N], in_categories_N2)
    dense_NF = np.concatenate([user_BF[request_N], item_NF, *crosses], axis=1)
    history_B4T = USER_LAYOUT.value("user_history", user_state_B, now_ms_B)
    bounds = np.searchsorted(request_N, np.arange(len(now_ms_B) + 1)).tolist()
    return [
        RequestFeatures(dense_NF[start:end], history_B4T[request, :3])
        for request, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False))
    ]


def _on_surface(user_B: State, surface_B: Ints, now_ms_B: Ints) -> NDArray[np.float32]:
    """[B, A]: the users' rates on the surfaces of the requests."""
    sums_Bm = OUTCOMES.read_on(user_B[USER_LAYOUT.field_of[LAST]], surface_B)
    rates = [rate.value(sums_Bm, now_ms_B) for rate in SURFACE_RATES.values()]
    return np.stack(rates, axis=1).astype(np.float32)


def _in_categories(
    rates_BK: NDArray[np.float64], slot_NS: Ints, request_N: Ints
) -> NDArray[np.float32]:
    """[N, 2]: mean and maximum of the user's rates in the candidate's slots; zeros without any."""
    has_NS = slot_NS >= 0
    rate_NS = np.where(has_NS, rates_BK[request_N[:, None], np.maximum(slot_NS, 0)], 0.0)
    mean_N = rate_NS.sum(1) / np.maximum(has_NS.sum(1), 1)
    max_N = np.where(has_NS, rate_NS, -np.inf).max(1, initial=-np.inf)
    max_N = np.where(np.isfinite(max_N), max_N, 0.0)
    return np.stack([mean_N, max_N], axis=1).astype(np.float32)
