"""The stages of a request for a slate in their order, for replicas and evaluations alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from headrace.application.current import APPLICATION
from headrace.application.exploration import THOMPSON
from headrace.application.sections import Application
from headrace.application.seen import SeenPolicy
from headrace.pipeline.context import Context
from headrace.pipeline.exploration.explore import Explore
from headrace.pipeline.filters.availability import num_unavailable
from headrace.pipeline.filters.conditions import Filtered
from headrace.pipeline.filters.declared import allowed
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.pace import Pace
from headrace.pipeline.refill import finding
from headrace.pipeline.rerank.declared import reranked
from headrace.pipeline.rerank.pinned import Pins
from headrace.pipeline.sources import Quota, Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.slates.blend import Blend
from headrace.slates.draws import PosteriorDraws
from headrace.slates.rank import RankContext, rank
from headrace.slates.source_table import quotas_of

QUOTAS: Final = quotas_of(APPLICATION.sources)

C = TypeVar("C", bound=RankContext)


def slate_stages(
    hydrate: Callable[[Context], None],
    answer: Callable[[C], None],
    max_candidates: int,
    policy: SeenPolicy,
    application: Application = APPLICATION,
    blend: Callable[[C], None] | None = None,
) -> tuple[Stage[C], ...]:
    """A request for a slate, in its order; the sources find so many more candidates than are ranked
    as the filters may remove. Without a `blend` it is the application's."""
    if blend is None and application.blend:
        blend = Blend(application.blend, max_candidates)
    pins = application.rerank.pins
    pinned = (Quota(Pins(pins)),) if pins else ()
    quotas = (*pinned, *quotas_of(application.sources))
    seen = Seen(policy, max_candidates, application.seen_on)
    shown = (*allowed(application), Filtered())
    over_quota = OverQuota(quotas, max_candidates)
    exploration = application.exploration
    draws = PosteriorDraws(exploration) if exploration.policy == THOMPSON else None
    filters = Rules(*shown, Hidden(), Excluded(), seen, over_quota)

    def spare(context: Context) -> int:
        removed = len(context.hidden_keys()) + len(context.exclude) + seen.most
        return removed + num_unavailable(context)

    return (
        Stage("hydrate", hydrate, without="no_features"),
        *finding(Sources(quotas, max_candidates, spare), filters, max_candidates),
        Stage(
            "rank", partial(rank, draws=draws), without="no_model", late="not_ranked", pace=Pace()
        ),
        *((Stage("blend", blend),) if blend else ()),
        *reranked(application.rerank, Explore(exploration)),
        Stage("answer", answer),
    )
