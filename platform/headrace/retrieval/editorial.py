"""The source `editorial`: the items that the application file lists, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headrace.application.current import APPLICATION
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context


class Editorial:
    """Proposes the items of a list."""

    name: Final = "editorial"

    def __init__(self, item_ids: Sequence[str]) -> None:
        self._item_ids = tuple(dict.fromkeys(item_ids))

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows of those of the listed items that are in the catalogue."""
        rows = context.catalogue.rows_of_ids(self._item_ids)
        listed: Ints = rows[rows != 0][:limit]
        return listed


def source() -> Editorial:
    """Of the application file's section of this name."""
    return Editorial(APPLICATION.editorial)
