"""The filter `hidden`: items that the user does not want to see, as long as his action says."""

from __future__ import annotations

from typing import Final

from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context


class Hidden:
    """Removes the items that an action of the user's hides, such as a report."""

    name: Final = "hidden"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        row_of_key = context.catalogue.row_of_key
        return context.outside([row_of_key.get(key, 0) for key in context.hidden_keys()])
