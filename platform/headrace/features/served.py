"""Served features: the ranker's inputs at the time it made a slate, as serving logged them.

N candidates   F features   T history
"""

from __future__ import annotations

import numpy as np

from headrace.action import EVERY_ACTION
from headrace.event import Served
from headrace.features.aggregation.facts import MAX_OUTCOME, action_masks
from headrace.features.inputs import HISTORY_LENGTH, MAX_SERVED, NUM_DENSE, RequestFeatures
from headrace.features.schema import INPUT_SCHEMA


def as_served(served: Served | None, num_items: int) -> RequestFeatures | None:
    """The features that serving logged, if this build can read them."""
    if served is None or served.schema != INPUT_SCHEMA:
        return None
    if len(served.dense) != 4 * num_items * NUM_DENSE or len(served.history) != 24 * HISTORY_LENGTH:
        return None
    dense_NF = np.frombuffer(served.dense, dtype="<f4").reshape(num_items, NUM_DENSE)
    history_3T = np.frombuffer(served.history, dtype="<i8").reshape(3, -1)
    known_T = (history_3T[2] >= 0) & (history_3T[2] <= MAX_OUTCOME)
    known_T &= action_masks(history_3T[2]) <= EVERY_ACTION
    if not (np.abs(dense_NF) <= MAX_SERVED).all() or not known_T.all():
        return None
    return RequestFeatures(dense_NF, history_3T)
