"""The source `trending`: items that were clicked most of late, by everybody."""

from __future__ import annotations

from typing import Final

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context


class Trending:
    """Proposes the rows of the snapshot's list."""

    name: Final = "trending"

    def candidates(self, context: Context, limit: int) -> Ints:
        """The first of the list, of a request with categories the first that have one of them."""
        rows = context.snapshot.trending_rows
        if context.categories:
            rows = rows[context.catalogue.are_in(rows, context.categories)]
        return rows[:limit]


def source() -> Trending:
    """Of everybody's clicks."""
    return Trending()
