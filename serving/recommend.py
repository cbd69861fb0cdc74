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
from headrace.pipeline.context import Context
from headrace.pipeline.filters.availability import UNAVAILABLE, num_unavailable
from headrace.pipeline.filters.conditions import Filtered, declared
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.pace import Pace
from headrace.pipeline.refill import finding
from headrace.pipeline.rerank.declared import reranked
from headrace.pipeline.rerank.pinned import Pins
from headrace.pipeline.run import run
from headrace.pipeline.sources import Quota, Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.retrieval.registry import quotas_of
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, impression, slate_of
from serving.stages.asked import context_of
from serving.stages.hydrate import Hydrate
from serving.stages.rank import rank

SEEN: Final = SeenPolicy()


def stages(
    hydrate: Hydrate,
    max_candidates: int,
    policy: SeenPolicy,
    application: Application = APPLICATION,
) -> tuple[Stage[SlateContext], ...]:
    """A request for a slate, in its order; the sources find so many more candidates than are ranked
    as the filters may remove."""
    pins = application.rerank.pins
    pinned = (Quota(Pins(pins)),) if pins else ()
    quotas = (*pinned, *quotas_of(application.sources))
    seen = Seen(policy, max_candidates, application.seen_on)
    over_quota = OverQuota(quotas, max_candidates)
    allowed = (*UNAVAILABLE, *declared(application), Filtered())

    filters = Rules(*allowed, Hidden(), Excluded(), seen, over_quota)

    def spare(context: Context) -> int:
        removed = len(context.hidden_keys()) + len(context.exclude) + seen.most
        return removed + num_unavailable(context)

    return (
        Stage("hydrate", hydrate, without="no_features"),
        *finding(Sources(quotas, max_candidates, spare), filters, max_candidates),
        Stage("rank", rank, without="no_model", late="not_ranked", pace=Pace()),
        *reranked(application.rerank),
        Stage("answer", answer),
    )


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
        self._stages = stages(hydrate, max_candidates, policy, application)

    def recommend(
        self,
        request: RecommendRequest,
        snapshot: Snapshot,
        now_ms: int,
        marks: tuple[str, ...] = (),
    ) -> tuple[Slate, ImpressionEvent | None]:
        """The slate, and the impression to log where the request asks for it. `marks` are what
        else the slate has to do without."""
        of_route = {
            "exclude": request.exclude,
            "given": request.candidates,
            "clock": self._clock,
            "pinned": self._pins.of(self._catalogue, request.surface),
        }
        context = context_of(request, self._catalogue, snapshot, now_ms, **of_route)
        run(self._stages, context)
        slate = slate_of(context, marks)
        return slate, impression(context, slate) if request.record else None
