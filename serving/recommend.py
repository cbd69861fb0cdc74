"""Recommendation: the stages by which a request becomes a slate."""

from __future__ import annotations

from functools import partial
from typing import Final

from headrace.api.slate import RecommendRequest, Slate
from headrace.application.current import APPLICATION
from headrace.application.exploration import THOMPSON
from headrace.application.seen import SeenPolicy
from headrace.catalogue.table.table import ItemTable
from headrace.event import ImpressionEvent
from headrace.events.declared import as_declared
from headrace.pipeline.context import Context
from headrace.pipeline.exploration.explore import Explore
from headrace.pipeline.filters.availability import UNAVAILABLE, num_unavailable
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.merge import merge
from headrace.pipeline.rerank.seen_last import SeenLast
from headrace.pipeline.run import run
from headrace.pipeline.sources import Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.retrieval.registry import quotas_of
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, impression, slate_of
from serving.stages.draws import Draws
from serving.stages.hydrate import Hydrate
from serving.stages.rank import rank

SEEN: Final = SeenPolicy()
QUOTAS: Final = quotas_of(APPLICATION.sources)
EXPLORE: Final = Explore(APPLICATION.exploration)


def stages(
    hydrate: Hydrate, max_candidates: int, policy: SeenPolicy, explore: Explore = EXPLORE
) -> tuple[Stage[SlateContext], ...]:
    """A request for a slate, in its order; the sources find so many more candidates than are ranked
    as the filters may remove."""
    exploration = explore.exploration
    draws = Draws(exploration) if exploration.policy == THOMPSON else None
    seen, over_quota = Seen(policy, max_candidates), OverQuota(QUOTAS, max_candidates)

    def spare(context: Context) -> int:
        removed = len(context.hidden_keys()) + len(context.exclude) + seen.most
        return removed + num_unavailable(context)

    return (
        Stage("hydrate", hydrate, without="no_features"),
        Stage("sources", Sources(QUOTAS, max_candidates, spare)),
        Stage("merge", merge),
        Stage("filters", Rules(*UNAVAILABLE, Hidden(), Excluded(), seen, over_quota)),
        Stage("rank", partial(rank, draws=draws), without="no_model"),
        Stage("rerank", Rules(SeenLast())),
        Stage("explore", explore),
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
        explore: Explore = EXPLORE,
    ) -> None:
        self._catalogue = catalogue
        self._stages = stages(hydrate, max_candidates, policy, explore)
        self._policy = explore.policy

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
            told=as_declared(request.context),
            explain=request.explain,
            policy=self._policy,
        )
        run(self._stages, context)
        slate = slate_of(context, marks)
        return slate, impression(context, slate) if request.record else None
