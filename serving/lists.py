"""Lists beside slates: given items ranked, items that go with some, and items that trend.

None of them is logged: it is not known what of a list is shown. Whoever shows some of it sends the
impression to `/v1/events`.
"""

from __future__ import annotations

from typing import Final

from headrace.api.slate import InvalidRequest, RankRequest, SimilarRequest, Slate, TrendingQuery
from headrace.application.current import APPLICATION
from headrace.application.sections import Application
from headrace.catalogue.table.table import ItemTable
from headrace.event import DEFAULT_SURFACE
from headrace.pipeline.context import Context
from headrace.pipeline.filters.availability import num_unavailable
from headrace.pipeline.filters.conditions import Filtered
from headrace.pipeline.filters.declared import allowed
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.pace import Pace
from headrace.pipeline.refill import finding
from headrace.pipeline.rerank.declared import boosted
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.run import run
from headrace.pipeline.sources import Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.slates.rank import rank
from headrace.slates.source_table import quotas_of
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, slate_of
from serving.stages.asked import context_of
from serving.stages.hydrate import Hydrate

SIMILAR: Final = quotas_of({"covisited": 1.0, "content": 1.0, "same_categories": 1.0})
TRENDING: Final = quotas_of({"trending": 1.0})
TRENDING_HERE: Final = quotas_of({"trending_here": 1.0, "trending": 1.0})

Stages = tuple[Stage[SlateContext], ...]


def _spare(context: Context) -> int:
    return len(context.hidden_keys()) + len(context.exclude) + num_unavailable(context)


class Lists:
    """Makes lists from the catalogue, as `Recommender` makes slates."""

    def __init__(
        self,
        hydrate: Hydrate,
        catalogue: ItemTable,
        max_candidates: int,
        application: Application = APPLICATION,
    ) -> None:
        self._catalogue = catalogue
        shown = (*allowed(application), Filtered())
        hydrated: Stages = (Stage("hydrate", hydrate, without="no_features"),)
        ranked: Stages = (
            Stage("rank", rank, without="no_model", late="not_ranked", pace=Pace()),
            *boosted(application.rerank),
        )
        last: Stages = (Stage("rerank", Rules(Outranked())), Stage("answer", answer))
        similar, trending, here = (
            Sources(quotas, max_candidates, _spare) for quotas in (SIMILAR, TRENDING, TRENDING_HERE)
        )
        over_quota = OverQuota(SIMILAR, max_candidates)
        of_user = Rules(*shown, Hidden(), Excluded(), over_quota)
        found: Stages = finding(similar, of_user, max_candidates)
        trends: Stages = finding(trending, Rules(*shown), max_candidates)
        trends_here: Stages = finding(here, Rules(*shown), max_candidates)
        self._for_a_user: Stages = (*hydrated, *found, *ranked, *last)
        self._for_nobody: Stages = (*found, *last)
        self._trending: Stages = (*trends, *last)
        self._trending_here: Stages = (*trends_here, *last)

    def rank(
        self,
        request: RankRequest,
        snapshot: Snapshot,
        now_ms: int,
        marks: tuple[str, ...] = (),
        waited_ms: float = 0.0,
    ) -> Slate:
        """The given items that are not hidden from the user, in the order of the ranker.
        `waited_ms` is a part of the deadline that is over."""
        of_route = {"given": request.items, "waited_ms": waited_ms}
        context = context_of(request, self._catalogue, snapshot, now_ms, **of_route)
        assert context.given is not None, "a request to rank gives its candidates"
        context.num_items = min(context.num_items, len(context.given))
        run(self._for_a_user, context)
        return slate_of(context, marks)

    def similar(
        self,
        request: SimilarRequest,
        snapshot: Snapshot,
        now_ms: int,
        marks: tuple[str, ...] = (),
        waited_ms: float = 0.0,
    ) -> Slate:
        """Items that go with those of the request; raises `InvalidRequest` where none of these is
        in the catalogue."""
        about = [row for row in self._catalogue.rows_of_ids(request.items).tolist() if row]
        if not about:
            raise InvalidRequest("none of these items is in the catalogue", "items")
        of_route = {"exclude": request.exclude, "about": about, "waited_ms": waited_ms}
        context = context_of(request, self._catalogue, snapshot, now_ms, **of_route)
        run(self._for_a_user if request.user_id else self._for_nobody, context)
        return slate_of(context, marks)

    def trending(
        self, query: TrendingQuery, snapshot: Snapshot, now_ms: int, marks: tuple[str, ...] = ()
    ) -> Slate:
        """The items that are clicked most of late, the same for everybody; those of a surface that
        is named first."""
        context = SlateContext(
            user_id="",
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=query.num_items,
            surface=query.surface or DEFAULT_SURFACE,
            categories=(query.category,) if query.category else (),
        )
        run(self._trending_here if query.surface else self._trending, context)
        return slate_of(context, marks)
