"""THE table of routes.

A row is all there is to say about a route; everything else follows from it: what HTTP asks of each
(405 with Allow, HEAD, OPTIONS, 415; `serving.http.router`), what a client may know
(`serving.http.openapi`), and the calls of the Python client (`headrace.api.client`).
"""

from __future__ import annotations

from typing import Any

from headrace.api.documents import ItemPatches, Items, Logged, UserPatches, Users
from headrace.api.endpoint import Ask, Delete, Endpoint, Get, GetOne, Patch, Post, Put
from headrace.api.events import Posted, Taken
from headrace.api.health import Healthz, Livez, Readyz
from headrace.api.slate import (
    AdSlate,
    AdsRequest,
    RankRequest,
    RecommendRequest,
    SimilarRequest,
    Slate,
    TrendingQuery,
)
from headrace.documents.document import ItemDocument, UserDocument


class Routes:
    """The routes by name."""

    # fmt: off
    recommend = Post[RecommendRequest, Slate](
        path="/v1/recommend", request=RecommendRequest, answer=Slate, scope="read",
        budget="slates")
    rank = Post[RankRequest, Slate](
        path="/v1/rank", request=RankRequest, answer=Slate, scope="read", budget="slates")
    similar = Post[SimilarRequest, Slate](
        path="/v1/similar", request=SimilarRequest, answer=Slate, scope="read", budget="slates")
    trending = Ask[TrendingQuery, Slate](
        path="/v1/trending", query=TrendingQuery, answer=Slate, scope="read", budget="slates")
    place_ads = Post[AdsRequest, AdSlate](  # ads spend budgets: to read is not enough
        path="/v1/ads", request=AdsRequest, answer=AdSlate, scope="write",
        budget="slates", rate="ads_rate")
    post_events = Post[Posted, Taken](
        path="/v1/events", request=Posted, answer=Taken, scope="write", status=202,
        budget="events", reader="read_events")
    put_items = Put[Items, Logged](
        path="/v1/items", request=Items, answer=Logged, scope="write", status=202,
        budget="documents", reader="read_items")
    patch_items = Patch[ItemPatches, Logged](
        path="/v1/items", request=ItemPatches, answer=Logged, scope="write", status=202,
        budget="documents", reader="read_item_patches")
    get_item = GetOne[ItemDocument](
        path="/v1/items/{id}", answer=ItemDocument, scope="read", budget="documents")
    delete_item = Delete[Logged](
        path="/v1/items/{id}", answer=Logged, scope="write", status=202, budget="documents")
    put_users = Put[Users, Logged](
        path="/v1/users", request=Users, answer=Logged, scope="write", status=202,
        budget="documents", reader="read_users")
    patch_users = Patch[UserPatches, Logged](
        path="/v1/users", request=UserPatches, answer=Logged, scope="write", status=202,
        budget="documents", reader="read_user_patches")
    get_user = GetOne[UserDocument](
        path="/v1/users/{id}", answer=UserDocument, scope="read", budget="documents")
    delete_user = Delete[Logged](
        path="/v1/users/{id}", answer=Logged, scope="write", status=202, budget="documents")
    livez = Get[Livez](path="/livez", answer=Livez, scope="open")
    readyz = Get[Readyz](path="/readyz", answer=Readyz, scope="open")
    healthz = Get[Healthz](path="/healthz", answer=Healthz, scope="read")
    openapi = Get[dict[str, Any]](path="/openapi.json", answer=dict[str, Any], scope="open")
    # fmt: on


def endpoints(table: type[Routes] = Routes) -> tuple[Endpoint[Any], ...]:
    """The rows of a table in their order, those that it inherits first."""
    rows = (row for one in reversed(table.__mro__) for row in vars(one).values())
    return tuple(row for row in rows if isinstance(row, Endpoint))
