"""Events out of rows: impressions of requests, and positives that are told alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pyarrow as pa

from headrace.action import ACTIONS, BIT, CLICK, GRADE, MONEY, TABLE
from headrace.datasets.table.log import fields as f
from headrace.datasets.table.log.requests import Requests
from headrace.datasets.table.mapping import EventColumns
from headrace.event import (
    DEFAULT_SURFACE,
    ActionEvent,
    ClickEvent,
    Event,
    ImpressionEvent,
    Shown,
    told_by,
)

OPTIONAL: Final = {
    f.REQUEST: "",
    f.SURFACE: DEFAULT_SURFACE,
    f.POSITION: 0,
    f.VALUE: 0.0,
    f.GRADE: None,
    f.AMOUNT: math.nan,
    f.CURRENCY: "",
    f.BACK: False,
}
Columns = dict[str, list[Any]]
VALUE_OF: Final = {row.name: row.value for row in TABLE}


class Maker:
    """Makes events of rows, as the mapping says what they tell."""

    def __init__(self, part: EventColumns) -> None:
        told = part.action.names if part.action else part.outcomes
        self._told = tuple(name for name in ACTIONS if name == CLICK or name in told)
        currency = part.money.currency if part.money else ""
        self._currency = currency if isinstance(currency, str) else ""
        self._fields_of = cache(self._told_fields)
        self._context_of = tuple((name, f"{f.CONTEXT}{name}") for name in part.context)

    def impressions(self, requests: Requests) -> Iterator[ImpressionEvent]:
        """An impression of each request, its outcomes known."""
        column = self.columns(requests.rows)
        bounds = [*requests.start_E.tolist(), len(requests.rows)]
        for start, end in zip(bounds, bounds[1:], strict=False):
            yield self.impression(column, start, end)

    def impression(self, column: Columns, start: int, end: int) -> ImpressionEvent:
        """The impression of these rows; its id follows from time, user and request, or item."""
        time_ms, user_id = column[f.TIME][start], column[f.USER][start]
        request_id = column[f.REQUEST][start]
        digest = _digest((time_ms, user_id, request_id or column[f.ITEM][start]))
        return ImpressionEvent(
            event_id=digest,
            event_time_ms=time_ms,
            user_id=user_id,
            request_id=request_id or digest,
            items=tuple([self._shown(column, row) for row in range(start, end)]),
            surface=column[f.SURFACE][start],
            context=self._context(column, start),
        )

    def alone(self, rows: pa.RecordBatch) -> Iterator[Event]:
        """An event of each action that came of a row, of no request."""
        column = self.columns(rows)
        for row in range(len(rows)):
            yield from self.facts(column, row)

    def facts(self, column: Columns, row: int) -> Iterator[Event]:
        """An event of each action that came of this row."""
        came, surface = column[f.CAME][row], column[f.SURFACE][row]
        key = column[f.TIME][row], column[f.USER][row], column[f.ITEM][row]
        again = (f.BACK,) if column[f.BACK][row] else ()
        for name, bit in BIT.items():
            if came & bit:
                event_id = _digest((*key, name, *again))
                told: dict[str, Any] = {"surface": surface, "context": self._context(column, row)}
                if name == CLICK:
                    yield ClickEvent(event_id, *key, **told)
                else:
                    told |= self._number_of(name, column, row)
                    yield ActionEvent(event_id, *key, name, **told)

    def columns(self, rows: pa.RecordBatch) -> Columns:
        """The columns of rows as Python values, those that lack filled with what stands for it."""
        column = {name: rows.column(name).to_pylist() for name in rows.schema.names}
        lacking = {name: absent for name, absent in OPTIONAL.items() if name not in column}
        return column | {name: [absent] * len(rows) for name, absent in lacking.items()}

    def _context(self, column: Columns, row: int) -> dict[str, Any] | None:
        """What a row tells of the context; None where that is nothing. NaN differs from itself."""
        cells = ((name, column[field][row]) for name, field in self._context_of)
        return {name: cell for name, cell in cells if cell and cell == cell or cell == 0} or None

    def _shown(self, column: Columns, row: int) -> Shown:
        """The item of a row as it was shown, with what came of it."""
        told = self._fields_of(column[f.CAME][row])
        grade, amount = column[f.GRADE][row], column[f.AMOUNT][row]
        if grade is not None:
            told = {**told, "grade": grade}
        if not math.isnan(amount):
            told = {**told, **self._paid(amount, column[f.CURRENCY][row])}
        return Shown(
            column[f.ITEM][row], column[f.POSITION][row], value=column[f.VALUE][row], **told
        )

    def _number_of(self, action: str, column: Columns, row: int) -> dict[str, Any]:
        """The grade or the money of an action, if it carries one and the row tells it."""
        if VALUE_OF[action] == GRADE:
            return {"value": column[f.GRADE][row] or column[f.VALUE][row]}
        if VALUE_OF[action] != MONEY:
            return {}
        amount, told = column[f.AMOUNT][row], {"taken_back": True} if column[f.BACK][row] else {}
        return told if math.isnan(amount) else told | self._paid(amount, column[f.CURRENCY][row])

    def _paid(self, amount: float, currency: str) -> dict[str, Any]:
        """The fields of an amount; one without a currency is none."""
        known = self._currency or currency
        return {"amount_micros": int(amount), "currency": known} if known else {}

    def _told_fields(self, came: int) -> dict[str, Any]:
        return told_by({name: bool(came & BIT[name]) for name in self._told})


def _digest(key: tuple[Any, ...]) -> str:
    return hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
