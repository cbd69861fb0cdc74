"""The re-ranker `boosts`: scores of items for which a condition holds, times a factor.

C candidates
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from headrace.application.reranking import Boost
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context
from headrace.pipeline.filters.conditions import Columns, compiled


class Boosts:
    """Multiplies scores, and puts the best first; several factors of an item are multiplied. What
    nothing has ranked keeps its order."""

    name: Final = "boosts"

    def __init__(self, boosts: Sequence[Boost]) -> None:
        self._tests = [(compiled(boost.where), boost.factor) for boost in boosts]

    def keep(self, context: Context) -> Kept:
        """The places in their new order."""
        candidates = context.candidates
        if candidates.score_C is None:
            return np.ones(len(candidates), np.bool_)
        columns = Columns(context, candidates.row_C)
        factor_C = np.ones(len(candidates), np.float32)
        for test, factor in self._tests:
            factor_C[test(columns)] *= factor
        candidates.score_C = score_C = candidates.score_C * factor_C
        if candidates.drawn_DC is not None:
            candidates.drawn_DC = candidates.drawn_DC * factor_C
        return np.argsort(-score_C, kind="stable")
