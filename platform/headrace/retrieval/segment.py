"""The source `segment`: what users with the same attributes, and requests in the same context,
click of late. It needs no history of the user."""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.events.declared import word_codes
from headrace.features.aggregation.facts import Ints
from headrace.features.segments import segments_of
from headrace.features.surface_trends import shares_of
from headrace.pipeline.context import Context


class Segment:
    """Proposes the items with the greatest shares of the clicks of the request's segments, summed
    over these."""

    name: Final = "segment"

    def candidates(self, context: Context, limit: int) -> Ints:
        """The most clicked ones, none where nothing is known of the user and the context."""
        trends = context.snapshot.surface_trends
        segments = segments_of(context.user.word_keys, word_codes(context.told))
        parts = [shares_of(trends[one], context.now_ms) for one in segments if one in trends]
        if not parts:
            return np.zeros(0, np.int64)
        key_N, share_N = (np.concatenate(column) for column in zip(*parts, strict=True))
        key_U, place_N = np.unique(key_N, return_inverse=True)
        share_U = np.bincount(place_N, share_N, len(key_U))
        rows = context.catalogue.rows_of_keys(key_U[np.argsort(-share_U, kind="stable")])
        first: Ints = rows[rows != 0][:limit]
        return first


def source() -> Segment:
    """Of the stream's sketches."""
    return Segment()
