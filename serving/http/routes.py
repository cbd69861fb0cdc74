"""The routes of a replica: each row of the table, with the method and threads that it names."""

from __future__ import annotations

from typing import Any

from headrace.api.endpoint import Endpoint
from headrace.api.routes import Routes, endpoints
from serving.http.route import Route


def routes(by: Any, table: type[Routes] = Routes) -> tuple[Route, ...]:
    """The table, answered by this replica."""
    return tuple(_answered(row, by) for row in endpoints(table))


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
    )
