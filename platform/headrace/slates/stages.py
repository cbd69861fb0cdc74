"""The stages of a request for a slate in their order, for replicas and evaluations alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from headrace.application.current import APPLICATION
from headrace.application.seen import SeenPolicy
from headrace.pipeline.context import Context
from headrace.pipeline.filters.availability import UNAVAILABLE, num_unavailable
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.merge import merge
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.rerank.seen_last import SeenLast
from headrace.pipeline.sources import Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.retrieval.registry import quotas_of
from headrace.slates.rank import RankContext, rank

QUOTAS: Final = quotas_of(APPLICATION.sources)

C = TypeVar("C", bound=RankContext)


def slate_stages(
    hydrate: Callable[[Context], None],
    answer: Callable[[C], None],
    max_candidates: int,
    policy: SeenPolicy,
) -> tuple[Stage[C], ...]:
    """A request for a slate, in its order; the sources find so many more candidates than are ranked
    as the filters may remove."""
    seen, over_quota = Seen(policy, max_candidates), OverQuota(QUOTAS, max_candidates)

    def spare(context: Context) -> int:
        removed = len(context.hidden_keys()) + len(context.exclude) + seen.most
        return removed + num_unavailable(context)

    return (
        Stage("hydrate", hydrate, without="no_features"),
        Stage("sources", Sources(QUOTAS, max_candidates, spare)),
        Stage("merge", merge),
        Stage("filters", Rules(*UNAVAILABLE, Hidden(), Excluded(), seen, over_quota)),
        Stage("rank", rank, without="no_model"),
        Stage("rerank", Rules(SeenLast(), Outranked())),
        Stage("answer", answer),
    )
