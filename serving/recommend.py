"""Recommendation: the stages by which a request becomes a slate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from headrace.api.slate import RecommendRequest, Slate
from headrace.application.current import APPLICATION
from headrace.application.sections import Application
from headrace.application.seen import SeenPolicy
from headrace.catalogue.table.table import ItemTable
from headrace.event import ImpressionEvent
from headrace.pipeline.exploration.explore import policy_of
from headrace.pipeline.rerank.pinned import Pins
from headrace.pipeline.run import run
from headrace.pipeline.stage import Stage
from headrace.slates.stages import slate_stages
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, impression, slate_of
from serving.stages.asked import context_of
from serving.stages.hydrate import Hydrate

SEEN: Final = SeenPolicy()


def stages(
    hydrate: Hydrate,
    max_candidates: int,
    policy: SeenPolicy,
    application: Application = APPLICATION,
) -> tuple[Stage[SlateContext], ...]:
    """A request for a slate, in its order (`headrace.slates.stages`)."""
    return slate_stages(hydrate, answer, max_candidates, policy, application)


class Recommender:
    """Makes slates from the catalogue for the users of the online store."""

    def __init__(
        self,
        hydrate: Hydrate,
        catalogue: ItemTable,
        max_candidates: int,
        policy: SeenPolicy = SEEN,
        application: Application = APPLICATION,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._catalogue, self._pins = catalogue, Pins(application.rerank.pins)
        self._clock = clock
        self._policy = policy_of(application.exploration)
        self._stages = stages(hydrate, max_candidates, policy, application)

    def recommend(
        self,
        request: RecommendRequest,
        snapshot: Snapshot,
        now_ms: int,
        marks: tuple[str, ...] = (),
        waited_ms: float = 0.0,
    ) -> tuple[Slate, ImpressionEvent | None]:
        """The slate, and the impression to log where the request asks for it. `marks` are what
        else the slate has to do without, `waited_ms` is a part of its deadline that is over."""
        of_route = {
            "exclude": request.exclude,
            "waited_ms": waited_ms,
            "given": request.candidates,
            "clock": self._clock,
            "policy": self._policy,
            "pinned": self._pins.of(self._catalogue, request.surface),
        }
        context = context_of(request, self._catalogue, snapshot, now_ms, **of_route)
        run(self._stages, context)
        slate = slate_of(context, marks)
        return slate, impression(context, slate) if request.record else None
