"""The source `same_categories`: items that share categories with those that a request is about, or
with those that the user chose last.

N rows that trend   L words of a field
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.context import Context

MOST: Final = 4_096  # rows that are compared, those that trend most


class SameCategories:
    """Proposes the rows with the most categories in common, of as many those that trend most."""

    name: Final = "same_categories"

    def candidates(self, context: Context, limit: int) -> Ints:
        """Rows that have at least one of the categories, without those that it is about."""
        catalogue, anchors = context.catalogue, context.anchors()
        bits = np.bitwise_or.reduce(catalogue.slot_bits(anchors), initial=np.uint32(0))
        row_N = context.snapshot.trending_rows
        row_N = row_N[catalogue.slot_bits(row_N) & bits != 0][:MOST]
        key_NL, wanted = catalogue.category_keys(row_N), catalogue.category_keys(anchors)
        shared_N = np.isin(key_NL, wanted[wanted != 0]).sum(1)
        shared_N[np.isin(row_N, anchors)] = 0
        order_N = np.argsort(-shared_N, kind="stable")
        rows: Ints = row_N[order_N][: min(limit, int((shared_N > 0).sum()))]
        return rows


def source() -> SameCategories:
    """Of the categories of all that the request is about."""
    return SameCategories()
