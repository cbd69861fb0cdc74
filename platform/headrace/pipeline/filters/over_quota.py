"""The filter `over_quota`: so many candidates are ranked, and so many of each source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from headrace.pipeline.candidates import ABSENT, Kept
from headrace.pipeline.context import Context
from headrace.pipeline.sources import Quota


class OverQuota:
    """Removes the candidates beyond the quotas of their sources, and beyond the limit of all.

    The sources give their best in turn, so one that comes later fills what is left. It stands
    after the other filters: what they removed takes nobody's place. Candidates that the request
    gives have no quota.
    """

    name: Final = "over_quota"

    def __init__(self, quotas: Sequence[Quota], limit: int) -> None:
        self._limit = limit
        self._most = [(quota.source.name, quota.of(limit)) for quota in quotas]

    def keep(self, context: Context) -> Kept:
        """The places of the candidates in the order of the sources, and of the ranks in each."""
        candidates, left = context.candidates, self._limit
        if context.given is not None:
            return np.ones(len(candidates), np.bool_)
        is_free_C = np.ones(len(candidates), np.bool_)
        chosen = []
        for source, most in self._most:
            rank_C = candidates.rank_in(source)
            place_N = np.flatnonzero((rank_C != ABSENT) & is_free_C)
            place_N = place_N[np.argsort(rank_C[place_N])[: min(most, left)]]
            is_free_C[place_N] = False
            left -= len(place_N)
            chosen.append(place_N)
        return np.concatenate(chosen)
