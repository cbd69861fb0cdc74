"""A replica: everything that answers the routes, in one process.

`headrace.api.routes` is the table of routes; here is what answers them, a method for each row.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cache
from typing import Final

import torch
from redis import Redis
from starlette.requests import Request
from starlette.responses import Response

from headrace import config
from headrace.access.api_keys.ring import Keyring
from headrace.access.api_keys.store import KeyStore
from headrace.access.redis import prompt_redis
from headrace.ads.budgets import Budgets
from headrace.ads.campaign import read_campaigns
from headrace.api.events import Taken
from headrace.api.slate import (
    AdsRequest,
    RankRequest,
    RecommendRequest,
    SimilarRequest,
    TrendingQuery,
)
from headrace.application.current import APPLICATION
from headrace.broker.log_sender import LogSender, Message
from headrace.broker.spool import Spool
from headrace.broker.topics import Topics
from headrace.clock import now_ms
from headrace.errors import LogUnavailable, ServiceError
from headrace.features.online.store import OnlineStore
from headrace.features.serving_key import ServingKey
from headrace.features.store.last_items import USER_HIDES
from headrace.monitoring.documents import ServeDocument
from headrace.monitoring.status import StatusBoard
from headrace.pipeline.filters.seen import lists_of
from headrace.settings.seen import seen_policy
from serving.ads import AdServer
from serving.breaker import Breaker
from serving.health import Errors, Health
from serving.http.body import Bodies, Body
from serving.http.budget import Budget
from serving.http.door import Door
from serving.http.openapi import openapi_document
from serving.http.problem import busy, json_response
from serving.http.rate import Rate
from serving.http.route import Answer
from serving.http.router import Router
from serving.http.routes import routes
from serving.impressions import ImpressionLog
from serving.lists import Lists
from serving.loopback import keep_on_loopback
from serving.posted.documents import DocumentRoutes, Present, document_senders
from serving.posted.events import Accepted, read_events
from serving.recommend import Recommender
from serving.replica.follow import Live
from serving.replica.snapshot import Snapshot
from serving.reporter import Reporter
from serving.stages.hydrate import Hydrate
from serving.stages.reservations import Reservations

MAX_POSTS: Final = 64  # of events, that wait to be read at one time
SWITCH_S: Final = 0.001  # that a thread may keep the event loop waiting


class Gateway:
    """A replica: the model, the item table, the store and the log, behind the routes."""

    def __init__(self, settings: config.Settings) -> None:
        self._ending = ExitStack()
        torch.set_num_threads(1)
        sys.setswitchinterval(SWITCH_S)
        keep_on_loopback()
        self._settings, self._live, given = settings, Live(settings, now_ms), settings.serving
        skipped, namespace = self._live.skipped, settings.namespace
        redis = prompt_redis(settings.redis_url, given.store_timeout_s)
        store = OnlineStore(settings, skipped, given.store_timeout_s)
        self._users = store
        self._store = Breaker("the online store", lambda: store.read_users([""]))
        policy, catalogue = seen_policy(given.seen), self._live.catalogue
        seen = lists_of(policy, *APPLICATION.seen_on.values())
        hydrate = Hydrate(store, self._store, (*USER_HIDES, *seen))
        self._recommender = Recommender(hydrate, catalogue, given.max_candidates, policy)
        self._lists = Lists(hydrate, catalogue, given.max_candidates)
        campaigns = read_campaigns(settings.campaigns, catalogue)
        budgets = Budgets(redis, namespace, skipped, given.ad_reservation_s)
        reservations = Reservations(budgets, Breaker("the budgets' Redis", redis.ping))
        self._ads = AdServer(campaigns, reservations, hydrate, catalogue)
        self._key: ServingKey | None = None
        topic, deadline_s = Topics(namespace).events, given.events_deadline_s
        self._events = LogSender(settings, topic, deadline_s, given.max_waiting_events)
        spool = Spool(settings.spool_path, given.spool_bytes, skipped)
        impressions = LogSender(settings, topic, deadline_s)
        self._impressions = ImpressionLog(impressions, spool, lambda: self._key, now_ms)
        places = given.max_waiting_slates
        self.slates = Budget("slates", given.slate_threads, places, given.slate_deadline_s)
        self.events = Budget("events", 1, MAX_POSTS, deadline_s)
        first = (lambda: self._find_key(redis), lambda: budgets.open(campaigns))
        self._reporter = Reporter(StatusBoard(redis, namespace, skipped), self._document, first)
        self.health = Health(settings, self._live, self._errors(), lambda: self._reporter.held)
        present = Present(catalogue.get, self._attributes, lambda: self._live.followed.num_looks)
        self._documents = DocumentRoutes(document_senders(settings), present, deadline_s)
        self.ads_rate = Rate("ads", settings.http.ads_rate)
        self._keyring = Keyring(KeyStore(redis, namespace, skipped), now_ms, settings.http.own_key)
        table = routes(self, others=[self._documents])
        self._openapi = cache(lambda: openapi_document(table))
        self._router = Router(table, Bodies(given.body_timeout_s), Door(settings, self._keyring))
        self._begin()

    def _begin(self) -> None:
        """Begin the work beside the requests, which ends with the replica."""
        for begun in (self._keyring, self._live, self._reporter):
            begun.start()
            self._ending.callback(begun.close)
        for ends in (
            self._store,
            self._events,
            self._impressions,
            self._documents,
            self.events,
            self.slates,
        ):
            self._ending.callback(ends.close)

    def close(self) -> None:
        """End the work beside the requests, the last that was begun first."""
        self._ending.close()

    async def answer(self, request: Request) -> Response:
        """Answer one request; a failure is an answer too, with the status of an error."""
        return await self._router.answer(request)

    def check_health(self) -> None:
        """Raises `ServiceError` for a replica that must be replaced."""
        if not self._live.is_following:
            raise ServiceError("models and item states are not followed any more")

    def recommend(self, request: RecommendRequest) -> Answer:
        """A slate; its impression goes to the log behind it."""
        snapshot, at_ms = self._live.snapshot.of_version(request.model_version), now_ms()
        marks = self._marks(snapshot, at_ms)
        told = request, snapshot, at_ms, marks, self.slates.waited_ms
        slate, impression = self._recommender.recommend(*told)
        if impression:
            self._impressions.add(impression)
        return json_response(slate)

    def rank(self, request: RankRequest) -> Answer:
        """Given items in the ranker's order."""
        snapshot, at_ms = self._live.snapshot.of_version(request.model_version), now_ms()
        marks = self._marks(snapshot, at_ms, is_logged=False)
        told = request, snapshot, at_ms, marks, self.slates.waited_ms
        return json_response(self._lists.rank(*told))

    def similar(self, request: SimilarRequest) -> Answer:
        """Items that go with some items."""
        snapshot, at_ms = self._live.snapshot.of_version(request.model_version), now_ms()
        marks = self._marks(snapshot, at_ms, is_logged=False) if request.user_id else ()
        told = request, snapshot, at_ms, marks, self.slates.waited_ms
        return json_response(self._lists.similar(*told))

    def trending(self, query: TrendingQuery) -> Answer:
        """The items that are clicked most of late."""
        return json_response(self._lists.trending(query, self._live.snapshot, now_ms()))

    def place_ads(self, request: AdsRequest) -> Answer:
        """Ads, the price of each reserved; their impression goes to the log behind them."""
        snapshot, at_ms = self._live.snapshot, now_ms()
        marks = self._marks(snapshot, at_ms, is_logged=request.record)
        ads, impression = self._ads.place(request, snapshot, at_ms, marks)
        if impression:
            self._impressions.add(impression)
        return json_response(ads)

    def read_events(self, body: Body) -> Sequence[Accepted]:
        """The events of a body."""
        return read_events(body, now_ms(), int(self._settings.stream.max_ahead_s * 1_000))

    def post_events(self, events: Sequence[Accepted]) -> Answer:
        """202 once the log has each of these events."""
        event_ids = [accepted.event.event_id for accepted in events]
        sent = [Message(one.event.user_id.encode(), one.message) for one in events]
        try:
            acknowledged = self._events.submit(sent)
        except LogUnavailable as error:
            told = f"{error}; nothing of this was sent: send it again"
            raise busy(told, {"event_ids": event_ids}) from None
        return self._answered(acknowledged, event_ids)

    async def _answered(self, acknowledged: Future[None], event_ids: Sequence[str]) -> Response:
        try:
            await asyncio.wrap_future(acknowledged)
        except LogUnavailable as error:
            told = (
                f"{error}; some of these events may be in the log: send them again with the same "
                "event_id, and each counts once"
            )
            raise busy(told, {"event_ids": event_ids}) from None
        return json_response(Taken(len(event_ids), tuple(event_ids)), 202)

    def livez(self, may_read: bool) -> Answer:
        """200: this process answers."""
        return self.health.livez()

    def readyz(self, may_read: bool) -> Answer:
        """200 from the first model on, or before it where that was decided; 503 until then."""
        return self.health.readyz(may_read)

    def healthz(self, may_read: bool) -> Answer:
        """200 with the health report."""
        return self.health.healthz()

    def openapi(self, may_read: bool) -> Answer:
        """These routes as an OpenAPI document."""
        return json_response(self._openapi())

    def _marks(self, snapshot: Snapshot, at_ms: int, is_logged: bool = True) -> tuple[str, ...]:
        """The `degraded` marks of an answer, beside those that its stages set."""
        model = snapshot.model
        stale_ms = 1_000 * self._settings.serving.stale_model_s
        is_stale = model is not None and at_ms - model.manifest.created_ms > stale_ms
        is_lost = is_logged and not self._impressions.is_reaching
        return (*(["stale_model"] if is_stale else ()), *(["no_log"] if is_lost else ()))

    def _errors(self) -> Errors:
        """The functions that return the current error of each dependency, the gravest first."""
        return {
            "following": lambda: self._live.followed.last_error,
            "store": lambda: self._store.last_error,
            "log": lambda: self._events.last_error or self._documents.last_error,
            "impressions": lambda: self._impressions.last_error,
            "status": lambda: self._reporter.last_error,
            "keys": lambda: self._keyring.last_error,
        }

    def _attributes(self, user_id: str) -> Sequence[str] | None:
        """The attributes of a user, None where nobody told of him."""
        found = self._store.call(lambda: self._users.read_users([user_id]))
        return None if found.unknown[0] else found.attributes[0]

    def _find_key(self, redis: Redis) -> None:
        self._key = ServingKey.of(redis, self._settings.namespace)

    def _document(self) -> ServeDocument:
        """This replica's document for the status."""
        model, traffic = self._live.snapshot.model, self._router.traffic
        return ServeDocument(
            requests=traffic.requests,
            failures=traffic.failures,
            refused={one.name: one.num_refused for one in (self.slates, self.events)},
            lost_impressions=self._impressions.num_lost,
            spooled_bytes=self._impressions.spooled_bytes,
            latency=traffic.latencies.to_pairs(),
            model_version=self.health.model_version,
            model_created_ms=model.manifest.created_ms if model else 0,
            model_freshness=self._live.followed.model_freshness.to_pairs(),
            error=self.health.error,
            skipped=self._live.skipped.report(),
        )
