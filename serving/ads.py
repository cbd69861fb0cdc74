"""Ads: the stages by which a request becomes ads whose prices are reserved.

A campaign bids per click, and one auction is held per request (`headrace.ads.auction`). The price
is reserved in the budget in one atomic step, and an ad whose budget cannot pay it is not placed; it
is charged once an event says that the ad was shown (`headrace.ads.budgets`). Ads are logged like
slates, when they are placed.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.ads.campaign import Campaign
from headrace.api.slate import AdSlate, AdsRequest
from headrace.application.current import APPLICATION
from headrace.catalogue.table.table import ItemTable
from headrace.event import ImpressionEvent
from headrace.events.declared import as_declared
from headrace.pipeline.filters.declared import allowed
from headrace.pipeline.filters.hidden import Hidden
from headrace.pipeline.run import run
from headrace.pipeline.stage import Rules, Stage
from headrace.slates.rank import rank
from serving.replica.snapshot import Snapshot
from serving.stages.auction import (
    AdsContext,
    Auction,
    Campaigns,
    Gone,
    Untargeted,
    answer,
    impression,
)
from serving.stages.context import enveloped
from serving.stages.hydrate import Hydrate
from serving.stages.reservations import Reserves


class AdServer:
    """Places ads.

    An item is a candidate once for each campaign that advertises it, so nothing is merged; the
    auction is the re-ranker.
    """

    def __init__(
        self,
        campaigns: Sequence[Campaign],
        budgets: Reserves,
        hydrate: Hydrate,
        catalogue: ItemTable,
    ) -> None:
        self._catalogue, shown = catalogue, allowed(APPLICATION)
        self._stages: tuple[Stage[AdsContext], ...] = (
            Stage("hydrate", hydrate, without="no_features"),
            Stage("sources", Campaigns(campaigns)),
            Stage("filters", Rules(Gone(), *shown, Hidden(), Untargeted(campaigns))),
            Stage("rank", rank, without="no_model"),
            Stage("rerank", Auction(campaigns, budgets), without="no_budgets"),
            Stage("answer", answer),
        )

    def place(
        self, request: AdsRequest, snapshot: Snapshot, now_ms: int, marks: tuple[str, ...] = ()
    ) -> tuple[AdSlate, ImpressionEvent | None]:
        """The ads of a request; none, marked, while there is no model to price clicks with, and
        none that nobody can reserve. `marks` are what else has to be done without. Beside them the
        impression to log, where the request asks for it."""
        context = AdsContext(
            user_id=request.user_id,
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=request.num_ads,
            surface=request.surface,
            categories=request.categories,
            told=as_declared(request.context),
        )
        run(self._stages, context)
        ads = enveloped(AdSlate, context, marks, ads=context.ads)
        return ads, impression(context, ads) if request.record else None
