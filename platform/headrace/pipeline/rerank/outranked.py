"""The re-ranker `outranked`: the best of the ranked list are the answer."""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context


class Outranked:
    """Truncates the ranked list to as many candidates as the request wants; the last re-ranker."""

    name: Final = "outranked"

    def keep(self, context: Context) -> Kept:
        """The first places."""
        return np.arange(min(context.num_items, len(context.candidates)))
