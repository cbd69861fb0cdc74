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
        return context.outside(context.catalogue.rows_of_keys(context.hidden_keys()))
