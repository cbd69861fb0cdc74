"""Limits of who may see an item and when: its stock, window and age, out of their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from headrace.datasets.table.cells import cell, column
from headrace.datasets.table.cells.clock import Clock
from headrace.datasets.table.cells.column import Parsed
from headrace.datasets.table.keys.values import Time
from headrace.datasets.table.mapping import ItemColumns

NONE: Final = -1  # of a cell without a value
Parsers = dict[str, Callable[[pa.Array], Parsed]]


class Limits:
    """The columns of an item's stock, window and age limit, where the mapping names any."""

    def __init__(self, part: ItemColumns) -> None:
        self._stock, self._min_age = part.stock, part.min_age
        self._window = [_timed(one) for one in (part.available_from, part.available_until)]

    def parsers(self) -> Parsers:
        """What makes a row bad, by column."""
        counted = (name for name in (self._stock, self._min_age) if name)
        timed = {one[0]: partial(_times, one[1]) for one in self._window if one}
        return {**{name: column.counts for name in counted}, **timed}

    def of(self, cells: Mapping[str, Any]) -> tuple[int | None, ...]:
        """The stock, the begin and end of the window in ms, and the age of an item."""
        stock, age = (cell.count(cells[n]) if n else None for n in (self._stock, self._min_age))
        begins_ms, ends_ms = (
            _time_ms(cells[one[0]], one[1]) if one else None for one in self._window
        )
        return stock, begins_ms, ends_ms, age


def _timed(given: str | Time | None) -> tuple[str, Clock] | None:
    if given is None:
        return None
    if isinstance(given, str):
        return given, Clock()
    return given.column, Clock(given.unit, given.pattern, given.zone)


def _times(clock: Clock, cells: pa.Array) -> Parsed:
    texts = cells.cast(pa.string()) if pa.types.is_temporal(cells.type) else cells
    return column.each(texts, lambda one: _time_ms(one, clock) or NONE, np.int64)


def _time_ms(one: Any, clock: Clock) -> int | None:
    return clock.time_ms(one) if cell.text(one).strip() else None
