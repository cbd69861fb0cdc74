"""The source `best_categories`: trending items of the categories whose items the user clicks most.

K category slots
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.catalogue.table.columns import slot_bits
from headrace.features.aggregation.facts import Ints
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.context import NO_TIME, Context


class BestCategories:
    """Proposes trending items of a user's categories with the highest rates above 0."""

    name: Final = "best_categories"

    def __init__(self, num_categories: int) -> None:
        self._num_categories = num_categories

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows that have one of the categories, in the order of the snapshot's trending list."""
        trending_rows = context.snapshot.trending_rows
        rates_K = USER_LAYOUT.value("user_category_rates", context.user.state_1, NO_TIME)[0]
        best = np.argsort(-rates_K)[: self._num_categories]
        liked = slot_bits(slot for slot in best.tolist() if rates_K[slot] > 0)
        if not liked:
            return trending_rows[:0]
        is_liked = context.catalogue.slot_bits(trending_rows) & liked != 0
        rows: Ints = trending_rows[is_liked][:limit]
        return rows


def source() -> BestCategories:
    """Of the user's three best categories."""
    return BestCategories(num_categories=3)
