"""The source `fresh`: new items that were shown to too few to say how good they are.

Which these are is kept with the items' states; an item that has had its share of impressions is
none of them any more.
"""

from __future__ import annotations

from typing import Final

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context


class Fresh:
    """Proposes the new items that were shown least."""

    name: Final = "fresh"

    def candidates(self, context: Context, limit: int) -> Ints:
        """The first rows of the snapshot's list."""
        return context.snapshot.fresh_rows[:limit]


def source() -> Fresh:
    """Of the items that came last."""
    return Fresh()
