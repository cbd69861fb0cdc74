"""Windows of clicks: the sums that an item's state keeps, from all time to the last few minutes.

Every accumulator of clicks is one, also those of a shop's own features; of tiles the last third is
another, so that the built-in ones go down to 20 minutes. Windows of nearly the same length say the
same: each is at most a third of the one before.

N items
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from headrace.features.aggregation.accumulators import (
    Accumulator,
    Decayed,
    Lifetime,
    State,
    Tiles,
    Values,
)
from headrace.features.aggregation.facts import CLICK, Ints
from headrace.features.table import ITEM_LAYOUT

PART: Final = 3


@dataclass(frozen=True, slots=True)
class Window:
    """An accumulator of clicks, or so many of the last ones of its tiles."""

    over: Lifetime | Decayed | Tiles
    span_ms: float
    num_tiles: int = 0

    def clicks(self, state_N: State, now_ms_N: Ints) -> Values:
        """[N]: the clicks on the items of these states."""
        kept_N, column = state_N[ITEM_LAYOUT.field_of[self.over]], self.over.measures.index(CLICK)
        if isinstance(self.over, Tiles):
            sums_Nm = self.over.read_last(self.num_tiles, kept_N, now_ms_N)
        else:
            sums_Nm = self.over.read(kept_N, now_ms_N)
        sum_N: Values = sums_Nm[:, column]
        return sum_N


def _windows(over: Accumulator) -> Iterator[Window]:
    match over:
        case Lifetime():
            yield Window(over, math.inf)
        case Decayed():
            yield Window(over, over.half_life_ms / math.log(2))
        case Tiles():
            for num_tiles in {over.num_tiles, max(over.num_tiles // PART, 1)}:
                yield Window(over, num_tiles * over.tile_ms, num_tiles)


def _spread(windows: list[Window]) -> Iterator[Window]:
    """Those of windows, the longest first, that are shorter than the one before by some factor."""
    span_ms = math.inf
    for window in windows:
        if window.span_ms == math.inf or window.span_ms * PART <= span_ms:
            span_ms = window.span_ms
            yield window


_EVERY: Final = [
    window
    for over in ITEM_LAYOUT.field_of
    if CLICK in getattr(over, "measures", ())
    for window in _windows(over)
]
WINDOWS: Final = tuple(_spread(sorted(_EVERY, key=lambda window: -window.span_ms)))
