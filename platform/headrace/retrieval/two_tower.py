"""The source `two_tower`: items whose vectors are nearest to the user's, by two towers that are
trained with the ranker (`headrace.model.two_tower`)."""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.facts import Ints, grades
from headrace.pipeline.context import Context


class TwoTower:
    """Proposes the items that a user with this history most likely chooses next."""

    name: Final = "two_tower"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows of the nearest items, none without a version that has towers; their scores are how
        likely each is chosen next, as shares of the first."""
        towers, user = context.snapshot.towers, context.user
        if towers is None:
            return context.snapshot.trending_rows[:0]
        key_T, _, outcome_T, _ = user.history_4T
        query_D = towers.of_user(key_T, grades(outcome_T), user.word_keys)
        key_N, product_N = towers.index.scored(query_D, limit)
        row_N = context.catalogue.rows_of_keys(key_N)
        is_there_N = row_N != 0
        share_N = np.exp(product_N - product_N.max(initial=-np.inf)).astype(np.float64)
        context.scores[self.name] = share_N[is_there_N]
        found: Ints = row_N[is_there_N]
        return found


def source() -> TwoTower:
    """Of the version that ranks."""
    return TwoTower()
