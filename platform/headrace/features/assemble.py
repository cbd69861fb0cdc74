"""From states to the ranker's inputs: the one function that training and serving both call.

B requests   N candidates of a request   F features   T history   W state   K category slots
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregators import State
from headrace.features.table import CATEGORIES, DENSE, HISTORY, ITEM_LAYOUT, USER_LAYOUT

NUM_DENSE = len(DENSE) + 2  # and the two crosses of user and category below


@dataclass(frozen=True, slots=True)
class RequestFeatures:
    """What the ranker reads about one request, beside ids and content."""

    dense_NF: NDArray[np.float32]
    history_3T: NDArray[np.int64]  # item keys (0: empty), ages in ms, clicked


def assemble(
    user_W: State,
    item_NW: State,
    category_slots_N: Sequence[tuple[int, ...]],
    now_ms: int,
) -> RequestFeatures:
    """The features of one user and N candidates at `now_ms`."""
    num = len(category_slots_N)
    user_F = USER_LAYOUT.dense_values(user_W, now_ms)
    item_NF = ITEM_LAYOUT.dense_values(item_NW, now_ms)
    rates_K = CATEGORIES.value(USER_LAYOUT.part(user_W, "user_category_rates"), now_ms)
    cross_N2 = np.zeros((num, 2), dtype=np.float32)
    for row, slots in enumerate(category_slots_N):
        if slots:
            of_item = rates_K[list(slots)]
            cross_N2[row] = (of_item.mean(), of_item.max())
    dense_NF = np.concatenate([np.broadcast_to(user_F, (num, len(user_F))), item_NF, cross_N2], 1)
    history_3T = HISTORY.columns(USER_LAYOUT.part(user_W, "user_history")).copy()
    history_3T[1] = np.where(history_3T[0] != 0, np.maximum(now_ms - history_3T[1], 0), 0)
    return RequestFeatures(dense_NF.astype(np.float32), history_3T)
