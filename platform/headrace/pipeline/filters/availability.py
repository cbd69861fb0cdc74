"""The filters of items that may not be shown now: sold out, outside of their time, or too adult.

N rows of the catalogue
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.table.columns import ABSENT
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Rule

Bools = NDArray[np.bool_]


class OutOfStock:
    """Removes items of which none is left."""

    name: Final = "out_of_stock"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        return in_stock(context, context.candidates.row_C)


class NotAvailable:
    """Removes items that are not available yet, or no more."""

    name: Final = "not_available"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        return within_time(context, context.candidates.row_C)


class TooAdult:
    """Removes items with an age limit from users who are younger, or of whom it is not known."""

    name: Final = "age"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        return old_enough(context, context.candidates.row_C)


LOOKED_AT: Final = 4_096  # of the items that trend; where more are removed, sources are asked again

UNAVAILABLE: Final[tuple[Rule, ...]] = (OutOfStock(), NotAvailable(), TooAdult())


def in_stock(context: Context, row_N: Ints) -> Bools:
    """[N]: whether any is left of these items."""
    are_left_N: Bools = context.catalogue.numbers("stock", row_N) != 0
    return are_left_N


def within_time(context: Context, row_N: Ints) -> Bools:
    """[N]: whether these items are available at the time of the request."""
    from_ms_N = context.catalogue.numbers("available_from_ms", row_N)
    until_ms_N = context.catalogue.numbers("available_until_ms", row_N)
    ends_N = (until_ms_N != ABSENT) & (until_ms_N <= context.now_ms)
    within_N: Bools = (from_ms_N <= context.now_ms) & ~ends_N
    return within_N


def old_enough(context: Context, row_N: Ints) -> Bools:
    """[N]: whether the user may see these items."""
    allowed_N: Bools = context.catalogue.numbers("min_age", row_N) <= context.user.age
    return allowed_N


def num_unavailable(context: Context) -> int:
    """How many of the items that trend most one of these filters removes: so many more candidates
    are asked for."""
    row_N = context.snapshot.trending_rows[:LOOKED_AT]
    shown_N = in_stock(context, row_N) & within_time(context, row_N) & old_enough(context, row_N)
    return int(len(row_N) - shown_N.sum())
