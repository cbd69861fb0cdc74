"""The serving application: one Ray Serve deployment that answers every route in its own process.

POST /v1/recommend   a slate for a user
POST /v1/ads         ads for a user
POST /v1/events      behaviour in: one event, or a list of them
GET  /healthz        200 when the replica can answer
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import torch
from ray import serve
from redis import Redis
from starlette.requests import Request
from starlette.responses import Response

from headrace import config, event
from headrace.broker import LogWriter, Topics
from headrace.clock import now_ms
from headrace.errors import InvalidEvent, ServiceError
from headrace.features.serving_key import ServingKey
from headrace.latency import Latencies
from headrace.slate import AdsRequest, InvalidRequest, RecommendRequest, parse, to_json
from headrace.status import StatusBoard, TrainDocument
from serving.ads import AdServer, Budgets, read_campaigns
from serving.live import Live
from serving.loopback import keep_on_loopback
from serving.posted import BodyTooLarge, read_body, read_events
from serving.recommend import Recommender

STATUS_EVERY_S = 0.5
BROKER_TIMEOUT_MS = 5_000
RETRY_AFTER_S = 1

Handler = Callable[[bytes], Awaitable[Response]]


class Gateway:
    """A replica: the model, the item table, the store and the log, behind the routes."""

    def __init__(self, settings: config.Settings) -> None:
        from headrace.features.online import OnlineStore

        torch.set_num_threads(1)
        keep_on_loopback()
        self._topics = Topics(settings.namespace)
        redis = Redis.from_url(settings.redis_url)
        self._live = Live(settings, now_ms)
        self._key = ServingKey.of(redis, settings.namespace)
        self._max_ahead_ms = int(settings.max_ahead_s * 1_000)
        self._status = StatusBoard(redis, settings.namespace, self._live.skipped)
        self._writer = LogWriter(settings, BROKER_TIMEOUT_MS)
        self._impressions = LogWriter(settings, BROKER_TIMEOUT_MS)
        store = OnlineStore(settings, self._live.skipped)
        self._recommender = Recommender(store, self._live.catalogue, settings.max_candidates)
        campaigns = read_campaigns(settings.campaigns, self._live.catalogue)
        budgets = Budgets(redis, settings.namespace, self._live.skipped)
        budgets.open(campaigns)
        self._ads = AdServer(campaigns, budgets, self._recommender, self._live.catalogue)
        self._routes: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/recommend"): self._recommend,
            ("POST", "/v1/ads"): self._place_ads,
            ("POST", "/v1/events"): self._take_events,
            ("GET", "/healthz"): self._health,
        }
        self._requests, self._latencies, self._failures = 0, Latencies(), 0
        self._lost_impressions = 0  # slates that were answered but could not be logged
        self._held = ""  # why the trainer publishes no newer version
        self._reporting: asyncio.Task[None] | None = None
        self._live.start()

    async def __call__(self, request: Request) -> Response:
        """Answer one request; what is wrong with it is said in the answer."""
        if self._reporting is None:
            self._reporting = asyncio.create_task(self._report())
        handler = self._routes.get((request.method, request.url.path))
        if handler is None:
            known = ", ".join(f"{method} {path}" for method, path in self._routes)
            return _problem(404, f"no {request.method} {request.url.path}; there are {known}", "")
        started_ms = now_ms()
        try:
            return await handler(await read_body(request.headers, request.stream()))
        except BodyTooLarge as error:
            return _problem(413, str(error), "")
        except (InvalidRequest, InvalidEvent) as error:
            return _problem(422, str(error), error.field)
        except ServiceError as error:
            self._failures += 1
            return _problem(503, str(error), "", {"Retry-After": str(RETRY_AFTER_S)})
        finally:
            self._requests += 1
            self._latencies.add(now_ms() - started_ms)

    async def _recommend(self, body: bytes) -> Response:
        request = parse(body, RecommendRequest)
        slate, impression = self._recommender.recommend(request, self._live.view, now_ms())
        if impression:
            user_key, value = impression.user_id.encode(), event.encode(self._key.sign(impression))
            self._impressions.send(self._topics.events, value, key=user_key)
        return _answer(200, slate)

    async def _place_ads(self, body: bytes) -> Response:
        return _answer(200, self._ads.place(parse(body, AdsRequest), self._live.view, now_ms()))

    async def _take_events(self, body: bytes) -> Response:
        """All events of the request are accepted, and in the log when it is answered; or none."""
        events = read_events(body, now_ms(), self._max_ahead_ms)
        for accepted in events:
            user_key = accepted.event.user_id.encode()
            self._writer.send(self._topics.events, accepted.message, key=user_key)
        await asyncio.get_running_loop().run_in_executor(None, self._writer.flush)
        event_ids = [accepted.event.event_id for accepted in events]
        return _answer(202, {"accepted": len(events), "event_ids": event_ids})

    async def _health(self, body: bytes) -> Response:
        model = self._live.view.model
        version = model.manifest.version if model else 0
        error = self._live.followed.last_error
        return _answer(200, {"model_version": version, "held": self._held, "error": error})

    async def _report(self) -> None:
        """Say now and then what this replica has done."""
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            model = self._live.view.model
            self._lost_impressions += self._impressions.take_failures()
            document = {
                "requests": self._requests,
                "failures": self._failures,
                "lost_impressions": self._lost_impressions,
                "latency": self._latencies.to_pairs(),
                "model_version": model.manifest.version if model else 0,
                "model_created_ms": model.manifest.created_ms if model else 0,
                "model_freshness": self._live.followed.model_freshness.to_pairs(),
                "error": self._live.followed.last_error,
                "skipped": self._live.skipped.report(),
            }
            self._status.write("serve", document, now_ms())
            trainers = self._status.read("train", TrainDocument)
            newest = max(trainers, key=lambda trainer: trainer["updated_ms"], default={})
            self._held = newest.get("held", "")


def build(settings: config.Settings) -> serve.Application:
    """The application of these settings."""
    deployment = serve.deployment(Gateway).options(
        num_replicas=settings.num_replicas,
        max_ongoing_requests=16,
        max_queued_requests=64,
        graceful_shutdown_timeout_s=5.0,
        ray_actor_options={"num_cpus": 0.5},
    )
    application: serve.Application = deployment.bind(settings)
    return application


def _answer(status: int, document: Any) -> Response:
    return Response(to_json(document), status_code=status, media_type="application/json")


def _problem(
    status: int, error: str, field: str, headers: dict[str, str] | None = None
) -> Response:
    body = to_json({"error": error, "field": field} if field else {"error": error})
    return Response(body, status_code=status, headers=headers, media_type="application/json")
