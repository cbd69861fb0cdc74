"""The source `two_tower`: items whose vectors are nearest to the user's, by two towers that are
trained with the ranker (`headrace.model.two_tower`)."""

from __future__ import annotations

from typing import Final

from headrace.features.aggregation.facts import Ints, grades
from headrace.pipeline.context import Context


class TwoTower:
    """Proposes the items that a user with this history most likely chooses next."""

    name: Final = "two_tower"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows of the nearest items, none without a version that has towers."""
        towers, user = context.snapshot.towers, context.user
        if towers is None:
            return context.snapshot.trending_rows[:0]
        key_T, _, outcome_T, _ = user.history_4T
        query_D = towers.of_user(key_T, grades(outcome_T), user.word_keys)
        rows = context.catalogue.rows_of_keys(towers.index.nearest(query_D, limit))
        found: Ints = rows[rows != 0]
        return found


def source() -> TwoTower:
    """Of the version that ranks."""
    return TwoTower()
