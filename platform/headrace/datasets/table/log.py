"""Puts the rows of a user's events file together into impressions."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import Final

from headrace.action import CLICK
from headrace.datasets.table import cell as table_cell
from headrace.datasets.table.file import Row, RowError, TableFile
from headrace.datasets.table.mapping import EventColumns, Rank, Share, Threshold, columns
from headrace.event import MAX_ITEMS, MAX_SURFACE, ImpressionEvent, Shown, told_by

SURFACE: Final = "home"  # where the table has no surface column

Key = tuple[int, str, str]  # event time, user, and request or, without request ids, item


@dataclass(slots=True)
class _Request:
    """The rows seen so far of one request."""

    request_id: str  # empty where the table has none
    surface: str
    line: int  # of its first row
    shown: list[Shown]


def impressions(file: TableFile, part: EventColumns) -> tuple[ImpressionEvent, ...]:
    """The impressions by time, equal times in the order of the file; bad rows are left to `file`.

    Rows with the same request, time and user are one impression of several items. Without request
    ids each row is its own, and a row repeated exactly is bad, not a second impression.
    """
    requests: dict[Key, _Request] = {}
    for row in file.rows([column for _, column in columns(part)]):
        try:
            _add(requests, part, row)
        except RowError as error:
            file.reject(row.line, error)
    ordered = sorted(requests.items(), key=lambda entry: entry[0][0])  # by time; a stable sort
    return tuple(_event(key, request) for key, request in ordered)


def _add(requests: dict[Key, _Request], part: EventColumns, row: Row) -> None:
    """Adds the row's item to its request; a row that does not fit raises `RowError`."""
    time = part.time
    time_ms = row.value(time.column, lambda cell: table_cell.time_ms(cell, time.unit))
    user_id = _identifier(row, part.user_id)
    item_id = _identifier(row, part.item_id)
    columns_of = {CLICK: part.clicked, **part.outcomes}
    came = {name: _came(row, column) for name, column in columns_of.items()}
    request_id = _identifier(row, part.request_id) if part.request_id else ""
    surface = _identifier(row, part.surface) if part.surface else SURFACE
    key = (time_ms, user_id, request_id or item_id)
    request = requests.get(key) or _Request(request_id, surface, row.line, [])
    _check_fits(request, part, item_id, surface)
    position = _position(row, part.position, len(request.shown))
    request.shown.append(Shown(item_id, position, **_graded(row, part.value), **told_by(came)))
    requests[key] = request


def _identifier(row: Row, column: str) -> str:
    return sys.intern(row.value(column, table_cell.identifier))  # the same few ids come again


def _check_fits(request: _Request, part: EventColumns, item_id: str, surface: str) -> None:
    """An accepted event shows an item once, on one surface, and is bounded."""
    if any(shown.item_id == item_id for shown in request.shown):
        reason = f"{item_id!r} is already in the request that starts on line {request.line}"
        raise RowError(part.item_id, reason)
    if part.surface and surface != request.surface:
        reason = f"{surface!r}, but the request starts with {request.surface!r} on line"
        raise RowError(part.surface, f"{reason} {request.line}")
    if part.surface and len(surface) > MAX_SURFACE:
        raise RowError(part.surface, f"{len(surface)} characters long, at most {MAX_SURFACE}")
    if len(request.shown) == MAX_ITEMS:
        raise RowError(part.item_id, f"more than {MAX_ITEMS} items in one request")


def _came(row: Row, action: str | Threshold) -> bool:
    if isinstance(action, str):
        return row.value(action, table_cell.boolean)
    return row.value(action.column, table_cell.number) >= action.at_least


def _position(row: Row, rank: str | Rank | None, absent: int) -> int:
    if rank is None:
        return absent
    column, first = (rank, 0) if isinstance(rank, str) else (rank.column, rank.first)
    return row.value(column, lambda cell: table_cell.position(cell, first))


def _graded(row: Row, share: str | Share | None) -> dict[str, float]:
    """The field of `Shown` that says how much the item was liked.

    A share of a whole says so by itself, as a rating does; a plain number with what came alone.
    """
    if share is None:
        return {}
    field, column, whole = (
        ("value", share, 1.0) if isinstance(share, str) else ("grade", share.column, share.of)
    )
    return {field: row.value(column, lambda cell: table_cell.value(cell, whole))}


def _event(key: Key, request: _Request) -> ImpressionEvent:
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
    return ImpressionEvent(
        event_id=digest,
        event_time_ms=key[0],
        user_id=key[1],
        request_id=request.request_id or digest,
        items=tuple(sorted(request.shown, key=lambda shown: shown.position or 0)),
        surface=request.surface,
    )
