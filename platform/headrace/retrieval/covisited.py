"""The source `covisited`: items that users chose in a session with those that a request is about,
or with those that the user chose last.

A anchors   K companions of each   N candidates
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.facts import Ints
from headrace.features.companions import companions_of
from headrace.pipeline.context import Context

NEXT: Final = 0.8  # how much an anchor counts of the one before it
FEW: Final = 2.0  # pairs of nothing, so that few say less than many


class Covisited:
    """Proposes the companions of all anchors by their shares, those of the newest counting most."""

    name: Final = "covisited"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows that were chosen with an anchor, without the anchors."""
        anchors = context.anchors()
        states = context.snapshot.companions.take(anchors)
        key_AK, weight_AK = companions_of(states, context.now_ms)
        share_AK = weight_AK / (weight_AK.sum(1, keepdims=True) + FEW)
        if not context.about:
            share_AK *= NEXT ** np.arange(len(anchors))[:, None]
        row_X = context.catalogue.rows_of_keys(key_AK.reshape(-1))
        row_N, place_X = np.unique(row_X, return_inverse=True)
        score_N = np.bincount(place_X.reshape(-1), share_AK.reshape(-1), len(row_N))
        score_N[np.isin(row_N, anchors) | (row_N == 0)] = 0
        order_N = np.argsort(-score_N, kind="stable")
        found_N = order_N[: min(limit, int((score_N > 0).sum()))]
        context.scores[self.name] = score_N[found_N].astype(np.float64)
        rows: Ints = row_N[found_N]
        return rows


def source() -> Covisited:
    """Of the stream's companions."""
    return Covisited()
