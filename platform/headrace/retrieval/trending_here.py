"""The source `trending_here`: items that were clicked most of late on the request's surface."""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.facts import Ints
from headrace.features.surface_trends import trends_of
from headrace.keys import surface_code
from headrace.pipeline.context import Context


class TrendingHere:
    """Proposes the rows of the snapshot's sketch of a surface."""

    name: Final = "trending_here"

    def candidates(self, context: Context, limit: int) -> Ints:
        """The most clicked ones, of a request with categories those that have one of them."""
        state_1 = context.snapshot.surface_trends.get(surface_code(context.surface))
        if state_1 is None:
            return np.zeros(0, np.int64)
        rows = context.catalogue.rows_of_keys(trends_of(state_1, context.now_ms))
        rows = rows[rows != 0]
        if context.categories:
            rows = rows[context.catalogue.are_in(rows, context.categories)]
        first: Ints = rows[:limit]
        return first


def source() -> TrendingHere:
    """Of the stream's sketches."""
    return TrendingHere()
