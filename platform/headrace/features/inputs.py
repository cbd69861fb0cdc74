"""From states to the ranker's inputs: the one function that training and serving both call.

B requests   N candidates of all requests   F features   T history   S category slots
X crosses
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.aggregators import Rate
from headrace.features.aggregation.asked import Asked, AskedItems, Groups, Requests
from headrace.features.aggregation.crosses import cross_values
from headrace.features.aggregation.facts import ACTIONS, Ints
from headrace.features.table import (
    CATEGORY,
    CROSSES,
    GROUP_LAYOUT,
    ITEM,
    ITEM_LAYOUT,
    LAST,
    USER,
    USER_LAYOUT,
)

DENSE: Final = (*USER_LAYOUT.dense, *ITEM_LAYOUT.dense, *CROSSES)  # in the order of the columns
DENSE_NAMES: Final = tuple(feature.name for feature in DENSE)
NUM_DENSE: Final = len(DENSE)
OF_SHARED: Final = tuple(  # the places of features that are made of states which users share
    place
    for place, feature in enumerate(DENSE)
    if {ITEM, CATEGORY} & {feature.entity, getattr(feature.aggregator.over, "whose", "")}
)
RATES: Final = tuple(  # the places of features that lie between 0 and 1
    place
    for place, feature in enumerate(DENSE)
    if isinstance(feature.aggregator, Rate) and feature.aggregator.measure in ACTIONS
)
MAX_SERVED: Final = 1e4  # a greater number is read as this: it would spoil the ranker's scale
HISTORY: Final = USER_LAYOUT.feature("user_history")
HISTORY_LENGTH: Final = LAST.length


@dataclass(frozen=True, slots=True)
class RequestFeatures:
    """The ranker's input features for one request, beside ids and content."""

    dense_NF: NDArray[np.float32]
    history_3T: Ints  # item keys (0: empty), ages in ms, outcomes


def assemble(
    user_state_B: State,
    item_state_N: State,
    requests: Requests,
    items: AskedItems,
    groups: Groups | None = None,
) -> list[RequestFeatures]:
    """The features of B requests with their candidates, each at a time and on a surface of its
    own; without `groups` as if nothing had come of the candidates' categories and authors."""
    now_ms_B, request_N = requests.now_ms_B, items.request_N
    user_BF = USER_LAYOUT.dense_values(user_state_B, now_ms_B)
    item_NF = ITEM_LAYOUT.dense_values(item_state_N, now_ms_B[request_N])
    states = {USER: (USER_LAYOUT, user_state_B), ITEM: (ITEM_LAYOUT, item_state_N)}
    if groups is not None:
        states[CATEGORY] = GROUP_LAYOUT, groups.state_P
    crosses = cross_values(CROSSES, Asked(requests, items, states, groups))
    crosses_XN = [column_N.astype(np.float32) for column_N in crosses]
    dense_NF = np.column_stack([user_BF[request_N], item_NF, *crosses_XN])
    np.clip(dense_NF, -MAX_SERVED, MAX_SERVED, out=dense_NF)
    history_B4T = USER_LAYOUT.value(HISTORY.name, user_state_B, now_ms_B)
    bounds = np.searchsorted(request_N, np.arange(len(now_ms_B) + 1)).tolist()
    return [
        RequestFeatures(dense_NF[start:end], history_B4T[request, :3])
        for request, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False))
    ]
