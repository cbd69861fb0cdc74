"""The same request as Ray Serve's tutorial composes it: `python -m tests.serving.tutorial PORT`.

A deployment for the ingress, one for features and one for the ranker, each by its defaults. All of
the work in them is headrace's own, so that what differs is how it is put together.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from headrace import config
from headrace.clock import now_ms
from headrace.features.aggregation.facts import Ints
from headrace.features.inputs import RequestFeatures
from headrace.features.online.store import OnlineStore
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import User
from headrace.pipeline.run import run
from headrace.services.ray_node import wait_for_own_ray
from headrace.settings.seen import seen_policy
from headrace.slates.rank import inputs, probabilities
from serving.recommend import stages
from serving.replica.follow import Live
from serving.stages.answer import SlateContext
from serving.stages.hydrate import Hydrate

NUM_CPUS = 4  # that Ray is told of: by default each deployment wants one
BEFORE_RANK = 4  # stages: hydrate, sources, merge, filters
Asked = tuple[str, tuple[int, ...], Ints, RequestFeatures]


@serve.deployment
class Features:
    """A user id in; the candidates with their features out."""

    def __init__(self, settings: config.Settings) -> None:
        self._live = Live(settings, now_ms)
        self._live.catch_up()
        hydrate = Hydrate(OnlineStore(settings))
        policy, most = seen_policy(settings.serving.seen), settings.serving.max_candidates
        self._stages = stages(hydrate, most, policy)[:BEFORE_RANK]

    def __call__(self, user_id: str) -> Asked:
        """The user's words, and rows and features of the candidates."""
        context = _context(self._live, user_id)
        run(self._stages, context)
        return user_id, context.user.word_keys, context.candidates.row_C, inputs(context)


@serve.deployment
class Ranking:
    """Candidates with features in; the best of them and their probabilities out."""

    def __init__(self, settings: config.Settings) -> None:
        self._live = Live(settings, now_ms)
        self._live.catch_up()

    def __call__(self, asked: Asked) -> list[tuple[str, float]]:
        """The ten best."""
        user_id, word_keys, row_C, features = asked
        context = _context(self._live, user_id)
        context.user = User(word_keys=word_keys)
        context.candidates = Candidates.of("given", row_C)
        model = context.snapshot.model
        assert model is not None, "nothing was published"
        p_CJ = probabilities(context, features, model)
        score_C = model.scores(model.of_impression(p_CJ))
        best = (-score_C).argsort(kind="stable")[: context.num_items]
        ids = [item.item_id for item in self._live.catalogue.items(row_C[best])]
        return list(zip(ids, score_C[best].tolist(), strict=True))


@serve.deployment
class Ingress:
    """A request in; its slate out."""

    def __init__(self, features: DeploymentHandle, ranking: DeploymentHandle) -> None:
        self._features, self._ranking = features, ranking

    async def __call__(self, request: Request) -> Response:
        """The slate; without a user only that this answers."""
        if request.method == "GET":
            return JSONResponse({})
        document: dict[str, Any] = await request.json()
        asked = await self._features.remote(document["user_id"])
        best: Sequence[tuple[str, float]] = await self._ranking.remote(asked)
        items = [{"item_id": item_id, "score": score} for item_id, score in best]
        return JSONResponse({"user_id": document["user_id"], "items": items})


def _context(live: Live, user_id: str) -> SlateContext:
    return SlateContext(
        user_id=user_id,
        now_ms=now_ms(),
        catalogue=live.catalogue,
        snapshot=live.snapshot,
        num_items=10,
    )


def main() -> None:
    """Serve it until a signal."""
    settings = config.load()
    wait_for_own_ray()
    ray.init(**{**config.ray_options(), "num_cpus": NUM_CPUS})
    serve.start(http_options=HTTPOptions(port=int(sys.argv[1])))
    application = Ingress.bind(Features.bind(settings), Ranking.bind(settings))
    serve.run(application, name="tutorial", route_prefix="/")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stopping.wait()
    serve.shutdown()


if __name__ == "__main__":
    main()
