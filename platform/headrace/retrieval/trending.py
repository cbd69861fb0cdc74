"""The source `trending`: items that were clicked most of late, by everybody."""

from __future__ import annotations

from typing import Final

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context


class Trending:
    """Proposes the rows of the snapshot's list."""

    name: Final = "trending"

    def candidates(self, context: Context, limit: int) -> Ints:
        """The first of the list."""
        return context.snapshot.trending_rows[:limit]
