"""Scores: weighted sums of probabilities, and of the value that an item is expected to have.

The value is the probability of each action that carries money, times the item's price.

X items   J scalar heads
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import TABLE
from headrace.application.action import MONEY
from headrace.event import MICROS

PAID: Final = frozenset(row.name for row in TABLE if row.value == MONEY)

Floats = NDArray[np.float32]


def value_weights(names: Sequence[str], weight: float) -> Floats | None:
    """[J]: the weight of each head's value, None where values weigh nothing."""
    if not weight:
        return None
    return np.array([weight if name in PAID else 0.0 for name in names], np.float32)


def weighted_scores(
    p_XJ: Floats, price_micros_X: NDArray[np.int64], weight_J: Floats, value_J: Floats | None
) -> Floats:
    """[X]: the scores of items by their probabilities and prices."""
    score_X: Floats = p_XJ @ weight_J
    if value_J is not None:
        price_X = np.maximum(price_micros_X, 0) / MICROS  # 0 where an item has none
        score_X = score_X + (p_XJ @ value_J) * price_X.astype(np.float32)
    return score_X
