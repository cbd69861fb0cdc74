"""The source `neighbours`: items of the sessions that share most with that of the user.

N candidates
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context


class Neighbours:
    """Proposes the rows of the nearest sessions, and remembers the session of the request."""

    name: Final = "neighbours"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows that others chose in such sessions, without the user's own ones."""
        sessions, session = context.snapshot.sessions, context.session()
        if not session:
            return np.zeros(0, np.int64)
        sessions.remember(context.user_id, session)
        row_N, score_N = sessions.near(context.user_id, session)
        score_N[np.isin(row_N, session)] = 0
        order_N = np.argsort(-score_N, kind="stable")
        found_N = order_N[: min(limit, int((score_N > 0).sum()))]
        context.scores[self.name] = score_N[found_N]
        rows: Ints = row_N[found_N]
        return rows


def source() -> Neighbours:
    """Of the sessions of the last requests."""
    return Neighbours()
