"""The routes of a replica: each row of the table, with the method and threads that it names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.api.endpoint import Endpoint
from headrace.api.routes import Routes, endpoints
from serving.http.route import Route


def routes(by: Any, table: type[Routes] = Routes, others: Sequence[Any] = ()) -> tuple[Route, ...]:
    """The table, answered by this replica: each row by it, or by the first of its other parts that
    has the method of the row's name."""
    return tuple(_answered(row, _having(row.name, (by, *others))) for row in endpoints(table))


def _having(name: str, parts: Sequence[Any]) -> Any:
    return next((part for part in parts if hasattr(part, name)), parts[0])


def _answered(row: Endpoint[Any], by: Any) -> Route:
    budget, rate, reader = (
        getattr(by, name) if name else None for name in (row.budget, row.rate, row.reader)
    )
    return Route(
        method=row.method,
        path=row.path,
        request=row.request,
        answer=row.answer,
        handler=getattr(by, row.name),
        budget=budget,
        scope=row.scope,
        rate=rate,
        reader=reader,
        status=row.status,
        prefix=row.prefix,
        query=row.query,
    )
