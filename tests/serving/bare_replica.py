"""A replica whose answers do not depend on the request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from headrace import config
from headrace.api.events import Taken
from headrace.api.health import Readyz
from headrace.api.slate import (
    AdSlate,
    AdsRequest,
    PlacedAd,
    RankedItem,
    RankRequest,
    RecommendRequest,
    SimilarRequest,
    Slate,
    TrendingQuery,
)
from headrace.broker.log_sender import Message
from headrace.catalogue.item import Item
from headrace.errors import LogUnavailable
from serving.health import Health
from serving.http.budget import Budget
from serving.http.openapi import openapi_document
from serving.http.problem import Problem, json_response
from serving.http.rate import Rate
from serving.http.route import Answer
from serving.http.routes import routes
from serving.posted.documents import DocumentRoutes
from serving.posted.events import Accepted, read_events


class NoModel:
    """What health asks of a replica that has no model."""

    class snapshot:
        model = None


class Shelf:
    """A log that takes everything, and a replica that has an item and a user, and reads nothing."""

    last_error, looks = "", 0

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def submit(self, messages: Sequence[Message]) -> Future[None]:
        if any(message.key.startswith(b"nobody") for message in messages):
            raise LogUnavailable("no broker")
        self.sent += messages
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def close(self) -> None:
        pass

    def item_of(self, item_id: str) -> Item | None:
        if item_id != "mug":
            return None
        return Item("mug", "A mug", ("kitchen",), ("colour=red",), 9_990_000, "EUR", 3)

    def attributes_of(self, user_id: str) -> Sequence[str] | None:
        return ("age=40",) if user_id == "ann" else None

    def num_looks(self) -> int:
        self.looks += 1
        return self.looks


class BareReplica:
    """Answers that do not depend on the request."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["written"], name)

    def __init__(self) -> None:
        self.slates = self.events = Budget("all", 1, places=8, deadline_s=1)
        self.ads_rate = Rate("ads", 0)
        self.shelf = Shelf()
        self.written = DocumentRoutes({"item": self.shelf, "user": self.shelf}, self.shelf, 1)
        settings = config.settings(ready_without_model=True)
        told = {*Readyz.__struct_fields__} - {"ready", "model_version"}
        errors = {name: (lambda: "") for name in told}
        self.health = Health(settings, NoModel(), errors, lambda: "")  # type: ignore[arg-type]

    def recommend(self, request: RecommendRequest) -> Answer:
        """A slate; its impression goes to the log behind it."""
        item = RankedItem("mug", "A mug", ("kitchen",), 0, None, None)
        return json_response(Slate("r", request.user_id, 0, None, ("no_model",), {"x": 1}, (item,)))

    def rank(self, request: RankRequest) -> Answer:
        """Given items in the ranker's order."""
        return json_response(Slate("r", request.user_id, 0, None, (), {}, ()))

    def similar(self, request: SimilarRequest) -> Answer:
        """Items that go with some items."""
        return json_response(Slate("r", request.user_id or "", 0, None, (), {}, ()))

    def trending(self, query: TrendingQuery) -> Answer:
        """The items that are clicked most of late."""
        named = RankedItem(query.category or "", "", (), query.num_items, None, None)
        return json_response(Slate("r", "", 0, None, (), {}, (named,)))

    def place_ads(self, request: AdsRequest) -> Answer:
        ad = PlacedAd("c", "mug", "A mug", 0, 0.5, 10, 5_000, 1)
        return json_response(AdSlate("r", request.user_id, 3, 1_000, (), {"x": 1.5}, (ad,)))

    def read_events(self, body: bytes) -> list[Accepted]:
        return read_events(body, round(1_000 * time.time()))

    def post_events(self, events: list[Accepted]) -> Answer:
        if events[0].event.user_id == "nobody":
            raise Problem(503, "no broker", {"event_ids": ["e1"]})
        ids = tuple(one.event.event_id for one in events)
        return json_response(Taken(len(events), ids), 202)

    def livez(self, may_read: bool) -> Answer:
        return self.health.livez()

    def readyz(self, may_read: bool) -> Answer:
        return self.health.readyz(may_read)

    def healthz(self, may_read: bool) -> Answer:
        return self.health.healthz()

    def openapi(self, may_read: bool) -> Answer:
        """These routes as an OpenAPI document."""
        return json_response(openapi_document(routes(self)))
