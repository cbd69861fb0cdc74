"""The source `factors`: items that the user's item factors expect most of.

They are solved over the user's history as it is now, with the factors of the version that ranks,
and found in that version's index (`headrace.model.factor_vectors`).
"""

from __future__ import annotations

from typing import Final

from headrace.features.aggregation.facts import Ints, grades
from headrace.pipeline.context import Context


class Factors:
    """Proposes the items with the highest expected grades."""

    name: Final = "factors"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows of the items that are nearest to the user's vector, none without a version."""
        vectors, user = context.snapshot.factors, context.user
        if vectors is None:
            return context.snapshot.trending_rows[:0]
        key_T, _, outcome_T, _ = user.history_4T
        query_D = vectors.of_user(key_T, grades(outcome_T), user.word_keys)
        rows = context.catalogue.rows_of_keys(vectors.index.nearest(query_D, limit))
        found: Ints = rows[rows != 0]
        return found


def source() -> Factors:
    """Of the version that ranks."""
    return Factors()
