"""The source `content`: items whose content is nearest to that of those that a request is about, or
of those that the user chose last.

A anchors   D width of a content vector
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context

MOST: Final = 5  # anchors that are asked for, the newest


class Content:
    """Proposes the neighbours of each anchor, in turn: the nearest of each, then the next."""

    name: Final = "content"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows of the nearest items, without the anchors; none while there is no index."""
        anchors, content = context.anchors()[:MOST], context.snapshot.content
        if content is None or not len(anchors):
            return anchors[:0]
        keys = context.catalogue.keys(anchors)
        each = -(-limit // len(anchors)) + len(anchors)
        found = [
            content.index.nearest(vector_D, each)
            for vector_D in content.vectors(keys)
            if vector_D.any()
        ]
        rows = [context.catalogue.rows_of_keys(near) for near in found]
        longest = max(map(len, rows), default=0)
        turn_LA = np.zeros((longest, len(rows)), np.int64)
        for place, near in enumerate(rows):
            turn_LA[: len(near), place] = near
        distinct, first = np.unique(turn_LA.reshape(-1), return_index=True)
        in_turn = distinct[np.argsort(first)]
        proposed: Ints = in_turn[(in_turn != 0) & ~np.isin(in_turn, anchors)][:limit]
        return proposed


def source() -> Content:
    """Of the catalogue's content vectors."""
    return Content()
