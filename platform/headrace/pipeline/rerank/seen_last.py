"""The re-ranker `seen_last`: items that come back behind those that the user has not seen."""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context


class SeenLast:
    """Puts the items that the filter `seen` let stay for want of others last, in its order."""

    name: Final = "seen_last"

    def keep(self, context: Context) -> Kept:
        """The places: those of unseen items as they are, then the item that was seen longest ago,
        and so on."""
        if not context.seen_again:
            return np.ones(len(context.candidates), np.bool_)
        turns = {row: turn for turn, row in enumerate(context.seen_again, 1)}
        turn_C = [turns.get(row, 0) for row in context.candidates.row_C.tolist()]
        return np.argsort(turn_C, kind="stable")
