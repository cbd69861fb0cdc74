"""THE table of routes: the handler of each, its budget and its scope.

A row is all there is to say about a route; what HTTP asks of each follows from it (405 with Allow,
HEAD, OPTIONS, 415): `serving.http.router`. So does what a client may know: `serving.http.openapi`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from headrace.api.slate import AdSlate, AdsRequest, RecommendRequest, Slate
from serving.health import Health, Healthz, Livez, Readyz
from serving.http.body import Body
from serving.http.budget import Budget
from serving.http.openapi import openapi_document
from serving.http.problem import json_response
from serving.http.rate import Rate
from serving.http.route import Answer, Route
from serving.posted import Accepted, Posted, Taken


class Answers(Protocol):
    """A replica, as the table sees it."""

    slates: Budget
    events: Budget
    ads_rate: Rate
    health: Health

    def recommend(self, request: RecommendRequest) -> Answer: ...
    def place_ads(self, request: AdsRequest) -> Answer: ...
    def read_events(self, body: Body) -> Sequence[Accepted]: ...
    def take_events(self, events: Sequence[Accepted]) -> Answer: ...


def routes(by: Answers) -> tuple[Route, ...]:
    """The table, answered by this replica."""
    document = cache(lambda: openapi_document(table))

    def openapi(may_read: bool) -> Answer:
        """These routes as an OpenAPI document."""
        return json_response(document())

    # fmt: off
    table = (
        Route("POST", "/v1/recommend", RecommendRequest, Slate, by.recommend, by.slates, "read"),
        # Ads spend budgets: to read is not enough.
        Route("POST", "/v1/ads", AdsRequest, AdSlate, by.place_ads, by.slates, "write",
              rate=by.ads_rate),
        Route("POST", "/v1/events", Posted, Taken, by.take_events, by.events, "write",
              reader=by.read_events, status=202),
        Route("GET", "/livez", None, Livez, by.health.livez, None, "open"),
        Route("GET", "/readyz", None, Readyz, by.health.readyz, None, "open"),
        Route("GET", "/healthz", None, Healthz, by.health.healthz, None, "read"),
        Route("GET", "/openapi.json", None, dict[str, Any], openapi, None, "open"),
    )
    # fmt: on
    return table
