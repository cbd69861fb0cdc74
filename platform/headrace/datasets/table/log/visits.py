"""Visits: a log of single facts, in which an action belongs to the impression that it came of.

An impression waits until nothing can come of it any more; what comes later, or of nothing that was
shown, is a positive by itself. Memory goes by the rows within that time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headrace.action import AVERSIONS, BIT, CLICK
from headrace.datasets.table.log import fields as f
from headrace.datasets.table.log.events import Columns, Maker
from headrace.datasets.table.log.requests import Grouping
from headrace.event import Event

FOR_EVER: Final = math.inf


class _Shown(NamedTuple):
    """The rows of an impression, in columns whose outcomes are added to while it waits."""

    time_ms: int
    column: Columns
    start: int
    end: int


class _Alone(NamedTuple):
    """The row of a positive that came of no impression."""

    time_ms: int
    column: Columns
    row: int


class Visits:
    """The events of a log of single facts, in the order of time."""

    def __init__(self, maker: Maker, grouping: Grouping, within_ms: float) -> None:
        self._maker, self._grouping, self._within_ms = maker, grouping, within_ms
        self._waiting: deque[_Shown | _Alone] = deque()
        self._newest: dict[tuple[str, ...], tuple[_Shown, int]] = {}  # by user, item and request

    def take(self, rows: pa.RecordBatch) -> Iterator[Event]:
        """The events that are complete once these merged rows are known."""
        is_shown = rows.column(f.IS_SHOWN)
        requests = self._grouping.requests(rows.filter(is_shown))
        shown = self._maker.columns(requests.rows)
        facts = self._maker.columns(rows.filter(pc.invert(is_shown)))
        bounds = [*requests.start_E.tolist(), len(requests.rows)]
        waiting: list[_Shown | _Alone] = [
            _Shown(shown[f.TIME][start], shown, start, end)
            for start, end in zip(bounds, bounds[1:], strict=False)
        ]
        waiting += [_Alone(time_ms, facts, row) for row, time_ms in enumerate(facts[f.TIME])]
        waiting.sort(key=lambda one: (one.time_ms, isinstance(one, _Alone)))
        for one in waiting:
            yield from self._over_by(one.time_ms)
            if isinstance(one, _Shown):
                self._waiting.append(one)
                for row in range(one.start, one.end):
                    self._newest[_key(shown, row)] = one, row
            elif not self._came_of_shown(one):
                self._waiting.append(one)

    def rest(self) -> Iterator[Event]:
        """The events that wait when the log is over."""
        return self._over_by(FOR_EVER)

    def _over_by(self, now_ms: float) -> Iterator[Event]:
        """Events from the front whose time is over; what is alone waits for older impressions."""
        while self._waiting:
            first = self._waiting[0]
            if isinstance(first, _Shown):
                if now_ms <= first.time_ms + self._within_ms:
                    return
                yield self._maker.impression(first.column, first.start, first.end)
                for row in range(first.start, first.end):
                    key = _key(first.column, row)
                    if self._newest[key][0] is first:
                        del self._newest[key]
            else:
                yield from self._maker.facts(first.column, first.row)
            self._waiting.popleft()

    def _came_of_shown(self, fact: _Alone) -> bool:
        """Adds the fact to the newest impression of its item, if there is one and it fits."""
        shown, row = self._newest.get(_key(fact.column, fact.row), (None, 0))
        amount = fact.column[f.AMOUNT][fact.row]
        if shown is None or fact.time_ms > shown.time_ms + self._within_ms:
            return False
        if fact.column[f.BACK][fact.row]:
            return False
        came = fact.column[f.CAME][fact.row]
        shown.column[f.CAME][row] |= came | (BIT[CLICK] if came & ~AVERSIONS else 0)
        shown.column[f.VALUE][row] = shown.column[f.VALUE][row] or fact.column[f.VALUE][fact.row]
        if not math.isnan(amount):
            paid = shown.column[f.AMOUNT][row]
            shown.column[f.AMOUNT][row] = amount + (0.0 if math.isnan(paid) else paid)
            shown.column[f.CURRENCY][row] = fact.column[f.CURRENCY][fact.row]
        return True


def _key(column: Columns, row: int) -> tuple[str, ...]:
    return column[f.USER][row], column[f.ITEM][row], column[f.REQUEST][row]
