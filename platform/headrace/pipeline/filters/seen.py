"""The filter `seen`: items of the user's history are not shown again."""

from __future__ import annotations

from typing import Final

from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context


class Seen:
    """Removes the items of the user's last events, whatever came of them."""

    name: Final = "seen"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        row_of_key = context.catalogue.row_of_key
        rows = [row_of_key.get(key, 0) for key in context.user.history_4T[0].tolist() if key]
        return context.outside(rows)
