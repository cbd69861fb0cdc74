"""Recommendation: the stages by which a request becomes a slate."""

from __future__ import annotations

from typing import Final

from headrace.api.slate import RecommendRequest, Slate
from headrace.event import ImpressionEvent
from headrace.features.inputs import HISTORY_LENGTH
from headrace.pipeline.context import Context
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.merge import merge
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.run import run
from headrace.pipeline.sources import Quota, Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.retrieval.best_categories import BestCategories
from headrace.retrieval.trending import Trending
from serving.replica.catalogue import Catalogue
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, impression
from serving.stages.context import enveloped
from serving.stages.hydrate import Hydrate
from serving.stages.rank import rank

QUOTAS: Final = (Quota(BestCategories(num_categories=3), share=0.5), Quota(Trending()))


def stages(hydrate: Hydrate, max_candidates: int) -> tuple[Stage[SlateContext], ...]:
    """A request for a slate, in its order."""
    return (
        Stage("hydrate", hydrate, without="no_features"),
        Stage("sources", Sources(QUOTAS, max_candidates, num_hidden)),
        Stage("merge", merge),
        Stage("filters", Rules(Hidden(), Seen(), Excluded(), OverQuota(QUOTAS, max_candidates))),
        Stage("rank", rank, without="no_model"),
        Stage("rerank", Rules(Outranked())),
        Stage("answer", answer),
    )


def num_hidden(context: Context) -> int:
    """How many candidates `Hidden`, `Seen` and `Excluded` may remove at most."""
    return len(context.hidden_keys()) + HISTORY_LENGTH + len(context.exclude)


class Recommender:
    """Makes slates from the catalogue for the users of the online store."""

    def __init__(self, hydrate: Hydrate, catalogue: Catalogue, max_candidates: int) -> None:
        self._catalogue = catalogue
        self._stages = stages(hydrate, max_candidates)

    def recommend(
        self,
        request: RecommendRequest,
        snapshot: Snapshot,
        now_ms: int,
        marks: tuple[str, ...] = (),
    ) -> tuple[Slate, ImpressionEvent | None]:
        """The slate, and the impression to log where the request asks for it. `marks` are what
        else the slate has to do without."""
        context = SlateContext(
            user_id=request.user_id,
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=request.num_items,
            surface=request.surface,
            exclude=request.exclude,
        )
        run(self._stages, context)
        slate = enveloped(Slate, context, marks, items=context.items)
        return slate, impression(context, slate) if request.record else None
