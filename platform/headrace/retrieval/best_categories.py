"""The source `best_categories`: trending items of the categories whose items the user clicks most.

I rows of the catalogue   K category slots
"""

from __future__ import annotations

from typing import Final

import numpy as np

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
        trending_rows, rows_of_slot = context.snapshot.trending_rows, context.catalogue.rows_of_slot
        rates_K = USER_LAYOUT.value("user_category_rates", context.user.state_1, NO_TIME)[0]
        best = np.argsort(-rates_K)[: self._num_categories]
        liked = [rows_of_slot[slot] for slot in best if rates_K[slot] > 0]
        if not liked:
            return trending_rows[:0]
        is_liked_I = np.zeros(len(context.catalogue.items), np.bool_)
        is_liked_I[np.concatenate(liked)] = True
        return trending_rows[is_liked_I[trending_rows]][:limit]
