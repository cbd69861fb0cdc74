"""A source, a filter and a re-ranker of one's own: objects with a name, and lines in the list."""

from __future__ import annotations

import numpy as np
from request_path import CATALOGUE, clicked, request

from headrace.application.seen import SeenPolicy
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.merge import merge
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.run import run
from headrace.pipeline.sources import Quota, Sources
from headrace.pipeline.stage import Rules, Stage
from headrace.retrieval.trending import Trending


class Editorial:
    """A source: what the shop's editors chose."""

    name = "editorial"

    def candidates(self, context: Context, limit: int) -> Ints:
        return context.catalogue.rows_of_ids(["i12", "i3"])[:limit]


class NoPens:
    """A filter: the shop has sold all of its pens."""

    name = "sold_out"

    def keep(self, context: Context) -> Kept:
        items = context.catalogue.items(context.candidates.row_C)
        return np.array(["pens" not in item.categories for item in items])


class Alternate:
    """A re-ranker: never two of the editors' choice in a row, where that can be."""

    name = "alternate"

    def keep(self, context: Context) -> Kept:
        turn_C = np.minimum(context.candidates.rank_in("editorial"), 2)
        return np.lexsort((np.arange(len(turn_C)), turn_C == 1))


QUOTAS = (Quota(Editorial(), share=0.5), Quota(Trending()))
STAGES: tuple[Stage[Context], ...] = (
    Stage("sources", Sources(QUOTAS, limit=6, spare=lambda context: 2)),
    Stage("merge", merge),
    Stage("filters", Rules(NoPens(), Seen(SeenPolicy(), limit=6), OverQuota(QUOTAS, limit=6))),
    Stage("rerank", Rules(Alternate(), Outranked())),
)


def test_they_take_part_in_a_request_like_those_that_are_there() -> None:
    context = request(trending=range(1, 10), user=clicked("i4"), num_items=4)
    run(STAGES, context)
    left = context.candidates
    assert [item.item_id for item in CATALOGUE.items(left.row_C)] == ["i12", "i1", "i6", "i7"]
    assert [left.sources_of(place) for place in range(4)] == [
        ("editorial",),
        *(("trending",) for _ in range(3)),
    ]
    reasons = {row: left.reason_of(row) for row in (2, 3, 4, 5, 8)}
    assert reasons == {2: "sold_out", 3: "outranked", 4: "seen", 5: "sold_out", 8: "sold_out"}
    assert [*context.stage_ms] == [
        *("editorial", "trending", "sources", "merge", "filters", "rerank")
    ]
