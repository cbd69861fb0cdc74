"""The filter `excluded`: the items that a request does not want."""

from __future__ import annotations

from typing import Final

from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context


class Excluded:
    """Removes the items whose ids the request names."""

    name: Final = "excluded"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        return context.outside(context.catalogue.rows_of_ids(context.exclude))
