"""THE table of routes: who answers what, from which budget, and for whom.

A row is all there is to say about a route; what HTTP asks of each follows from it (405 with Allow,
HEAD, OPTIONS, 415): `serving.http.router`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from starlette.responses import Response

from headrace.api.slate import AdsRequest, RecommendRequest, parse
from serving.health import Health
from serving.http.budget import Budget
from serving.http.rate import Rate
from serving.posted import Accepted

Scope = Literal["open", "read", "write", "admin"]  # whom a route is for, where keys are required
Answer = Response | Awaitable[Response]  # the latter is awaited without a thread
Handler = Callable[[Any], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    `read` makes a request of the posted body; `handler` answers it. Where nothing is posted `read`
    is None, and the handler is given whether whoever asks may read more than that all is well.
    Both run in a thread of the `budget`, or on the event loop where there is none. `rate` bounds
    how often one key or address may ask, beside the rate of all routes.
    """

    method: str
    path: str
    read: Callable[[bytes], Any] | None
    handler: Handler
    budget: Budget | None
    scope: Scope
    rate: Rate | None = None


class Answers(Protocol):
    """A replica, as the table sees it."""

    slates: Budget
    events: Budget
    ads_rate: Rate
    health: Health

    def recommend(self, request: RecommendRequest) -> Answer: ...
    def place_ads(self, request: AdsRequest) -> Answer: ...
    def read_events(self, body: bytes) -> Sequence[Accepted]: ...
    def take_events(self, events: Sequence[Accepted]) -> Answer: ...


def routes(by: Answers) -> tuple[Route, ...]:
    """The table, answered by this replica."""
    slate = partial(parse, request_type=RecommendRequest)
    ads = partial(parse, request_type=AdsRequest)
    return (
        Route("POST", "/v1/recommend", slate, by.recommend, by.slates, "read"),
        # Ads spend budgets: to read is not enough.
        Route("POST", "/v1/ads", ads, by.place_ads, by.slates, "write", by.ads_rate),
        Route("POST", "/v1/events", by.read_events, by.take_events, by.events, "write"),
        Route("GET", "/livez", None, by.health.livez, None, "open"),
        Route("GET", "/readyz", None, by.health.readyz, None, "open"),
        Route("GET", "/healthz", None, by.health.healthz, None, "read"),
    )
