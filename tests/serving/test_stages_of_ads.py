"""Ads without servers: who takes part in the auction, why the others leave, and the marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from request_path import CATALOGUE, NOW_MS, clicked

from headrace.ads.campaign import Campaign
from headrace.errors import StoreUnavailable
from headrace.features.table import ITEM_LAYOUT
from headrace.pipeline.run import run
from headrace.pipeline.stage import Rules, Stage
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.auction import AdsContext, Auction, Campaigns, Untargeted, answer

UNRANKED = Snapshot((), StatePages(ITEM_LAYOUT, 13).states, np.arange(1, 13))
CAMPAIGNS = (
    Campaign("everywhere", "i1", bid_micros=1_000, budget_micros=9),
    Campaign("tea", "i3", bid_micros=4_000, budget_micros=9, categories=("tea",)),
    Campaign("pens", "i1", bid_micros=3_000, budget_micros=9, categories=("pens", "paper")),
    Campaign("rich", "i5", bid_micros=9_000, budget_micros=9),
)


class Budgets:
    """Purses: what campaigns have left, or None where the server falls silent."""

    def __init__(self, left_micros: Mapping[str, int | None]) -> None:
        self._left = dict(left_micros)

    def reserve(self, campaign_id: str, request_id: str, price_micros: int, now_ms: int) -> bool:
        left = self._left.get(campaign_id, 1_000_000)
        if left is None:
            raise StoreUnavailable("silent")
        self._left[campaign_id] = left - price_micros * (left >= price_micros)
        return left >= price_micros


def hold(left_micros: Mapping[str, int | None] | None = None, **asked: Any) -> AdsContext:
    """An auction in which everybody is clicked with probability 0.5."""
    context = AdsContext(
        user_id="ann",
        now_ms=NOW_MS,
        catalogue=CATALOGUE,
        snapshot=UNRANKED,
        **{"num_items": 2, **asked},
    )

    def rank(context: AdsContext) -> None:
        context.candidates.p_CJ = np.full((len(context.candidates), 1), 0.5, np.float32)

    stages: Sequence[Stage[AdsContext]] = (
        Stage("sources", Campaigns(CAMPAIGNS)),
        Stage("filters", Rules(Untargeted(CAMPAIGNS))),
        Stage("rank", rank),
        Stage("rerank", Auction(CAMPAIGNS, Budgets(left_micros or {})), without="no_budgets"),
        Stage("answer", answer),
    )
    run(stages, context)
    return context


def placed(context: AdsContext) -> list[tuple[str, int]]:
    return [(ad.campaign_id, ad.price_micros) for ad in context.ads]


def removed(context: AdsContext) -> dict[int, str]:
    """The reason by the row of the item; i1 is advertised twice."""
    return {row: one.reason for one in context.candidates.removed for row in one.row_N.tolist()}


@pytest.mark.parametrize(
    ("asked", "taking_part"),
    [
        ({}, ["rich", "everywhere"]),
        ({"categories": ("tea",)}, ["rich", "tea", "everywhere"]),
        ({"categories": ("paper", "mugs")}, ["rich", "pens", "everywhere"]),
        ({"user": clicked("i6")}, ["rich", "tea", "everywhere"]),
        ({"user": clicked("i6"), "categories": ("mugs",)}, ["rich", "everywhere"]),
    ],
)
def test_campaigns_target_the_page_or_else_what_the_user_clicked(
    asked: dict[str, Any], taking_part: list[str]
) -> None:
    context = hold(num_items=4, **asked)
    assert [name for name, _ in placed(context)] == taking_part


def test_winners_pay_the_next_offer_and_the_others_are_outbid() -> None:
    context = hold(categories=("tea",))
    assert placed(context) == [("rich", 2_000), ("tea", 500)]
    assert [ad.position for ad in context.ads] == [0, 1]
    assert context.candidates.row_C.tolist() == [5, 3]
    assert removed(context) == {1: "outbid"} and context.degraded == []
    assert len(context.candidates.removed[0].row_N) == 1  # of the page's targets, pens is none


def test_who_cannot_pay_leaves_and_prices_are_made_anew() -> None:
    context = hold({"rich": 1_999}, categories=("tea",))
    assert placed(context) == [("tea", 500), ("everywhere", 1)]
    assert removed(context)[5] == "cannot_pay"


def test_where_budgets_are_silent_what_is_reserved_is_placed_and_marked() -> None:
    context = hold({"tea": None}, categories=("tea",))
    assert placed(context) == [("rich", 2_000)] and context.degraded == ["no_budgets"]
    assert removed(context) == {1: "not_reserved", 3: "not_reserved"}
