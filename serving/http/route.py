"""A route of a replica: a row of the table (`headrace.api.routes`) and its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from headrace.api.endpoint import Scope
from headrace.api.slate import parse
from serving.http.body import Body
from serving.http.budget import Budget
from serving.http.rate import Rate

Answer = Response | Awaitable[Response]  # the latter is awaited without a thread
Handler = Callable[[Any], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `request` is the type of the posted body, `query` that of a URL's query and `answer` that of a
    success, as the OpenAPI document describes them. `handler` answers the request; where nothing is
    posted `request` is None, and the handler is given whether whoever asks may read more than that
    all is well. It runs in a thread of the `budget`, or on the event loop where there is none.
    `rate` bounds how often one key or address may ask, beside the rate of all routes. `reader`
    reads a body that is not simply JSON of the request's type. Where the path ends with an id, the
    handler is given that, and where there is a query, the query.
    """

    method: str
    path: str
    request: Any
    answer: Any
    handler: Handler
    budget: Budget | None
    scope: Scope
    rate: Rate | None = None
    reader: Callable[[Body], Any] | None = None
    status: int = 200  # of a success
    prefix: str = ""  # of a path that ends with an id
    query: Any = None

    def read(self, body: Body) -> Any:
        """The request in a body."""
        return self.reader(body) if self.reader else parse(body, self.request)
