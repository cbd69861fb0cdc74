"""Lists beside slates: given items ranked, items that go with some, and items that trend.

None of them is logged: it is not known what of a list is shown. Whoever shows some of it sends the
impression to `/v1/events`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.api.slate import InvalidRequest, RankRequest, SimilarRequest, Slate, TrendingQuery
from headrace.catalogue.table.table import ItemTable
from headrace.events.declared import as_declared
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context
from headrace.pipeline.filters.availability import UNAVAILABLE, num_unavailable
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.merge import merge
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.run import run
from headrace.pipeline.sources import Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.retrieval.registry import quotas_of
from headrace.slates.rank import rank
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, slate_of
from serving.stages.hydrate import Hydrate

GIVEN: Final = "given"
SIMILAR: Final = quotas_of({"covisited": 1.0, "content": 1.0, "same_categories": 1.0})
TRENDING: Final = quotas_of({"trending": 1.0})

Stages = tuple[Stage[SlateContext], ...]


def given(context: SlateContext) -> None:
    """Make candidates of the items that the request gives, each once, and mark unknown ones."""
    row_N = context.catalogue.rows_of_ids(context.given)
    if not row_N.all():
        context.degraded.append("unknown_items")
    known = [*dict.fromkeys(row_N[row_N != 0].tolist())]
    context.candidates = Candidates.of(GIVEN, np.array(known, np.int64))
    context.num_items = min(context.num_items, len(known))


def _spare(context: Context) -> int:
    return len(context.hidden_keys()) + len(context.exclude) + num_unavailable(context)


class Lists:
    """Makes lists from the catalogue, as `Recommender` makes slates."""

    def __init__(self, hydrate: Hydrate, catalogue: ItemTable, max_candidates: int) -> None:
        self._catalogue = catalogue
        hydrated: Stages = (Stage("hydrate", hydrate, without="no_features"),)
        ranked: Stages = (Stage("rank", rank, without="no_model"),)
        last: Stages = (Stage("rerank", Rules(Outranked())), Stage("answer", answer))
        over_quota = OverQuota(SIMILAR, max_candidates)
        found: Stages = (
            Stage("sources", Sources(SIMILAR, max_candidates, _spare)),
            Stage("merge", merge),
            Stage("filters", Rules(*UNAVAILABLE, Hidden(), Excluded(), over_quota)),
        )
        these: Stages = (Stage("sources", given), Stage("filters", Rules(*UNAVAILABLE, Hidden())))
        trends: Stages = (
            Stage("sources", Sources(TRENDING, max_candidates, _spare)),
            Stage("merge", merge),
            Stage("filters", Rules(*UNAVAILABLE)),
        )
        self._rank: Stages = (*hydrated, *these, *ranked, *last)
        self._similar: Stages = (*found, *last)
        self._similar_for_a_user: Stages = (*hydrated, *found, *ranked, *last)
        self._trending: Stages = (*trends, *last)

    def rank(
        self, request: RankRequest, snapshot: Snapshot, now_ms: int, marks: tuple[str, ...] = ()
    ) -> Slate:
        """The given items that are not hidden from the user, in the order of the ranker."""
        context = SlateContext(
            user_id=request.user_id,
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=request.num_items,
            surface=request.surface,
            told=as_declared(request.context),
            given=request.items,
            explain=request.explain,
        )
        run(self._rank, context)
        return slate_of(context, marks)

    def similar(
        self, request: SimilarRequest, snapshot: Snapshot, now_ms: int, marks: tuple[str, ...] = ()
    ) -> Slate:
        """Items that go with those of the request; raises `InvalidRequest` where none of these is
        in the catalogue."""
        about = [row for row in self._catalogue.rows_of_ids(request.items).tolist() if row]
        if not about:
            raise InvalidRequest("none of these items is in the catalogue", "items")
        context = SlateContext(
            user_id=request.user_id or "",
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=request.num_items,
            surface=request.surface,
            exclude=request.exclude,
            about=about,
            told=as_declared(request.context),
            explain=request.explain,
        )
        run(self._similar_for_a_user if request.user_id else self._similar, context)
        return slate_of(context, marks)

    def trending(
        self, query: TrendingQuery, snapshot: Snapshot, now_ms: int, marks: tuple[str, ...] = ()
    ) -> Slate:
        """The items that are clicked most of late, the same for everybody."""
        context = SlateContext(
            user_id="",
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=query.num_items,
            categories=(query.category,) if query.category else (),
        )
        run(self._trending, context)
        return slate_of(context, marks)
