"""The stages that are an ad request's own: campaigns, targeting, and the auction with its prices.

A campaigns   C those that are candidates
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import BIT, CLICK
from headrace.ads.auction import Bid, second_price
from headrace.ads.campaign import Campaign
from headrace.api.slate import AdSlate, PlacedAd
from headrace.catalogue.item import Item
from headrace.errors import StoreUnavailable
from headrace.event import ImpressionEvent, Shown
from headrace.keys import key
from headrace.pipeline.candidates import Candidates, Kept
from headrace.pipeline.context import Context
from serving.stages.context import ReplicaContext
from serving.stages.logged import logged
from serving.stages.reservations import Reserves

CAMPAIGNS: Final = "campaigns"  # the source: its n-th candidate is the n-th campaign


@dataclass(slots=True, kw_only=True)
class AdsContext(ReplicaContext):
    """The context of a request for ads."""

    sold: list[tuple[Bid, int]] = field(default_factory=list)  # with the price in micros, reserved
    ads: tuple[PlacedAd, ...] = ()


class Campaigns:
    """The work of `sources`: the items of all campaigns, one as often as it is advertised."""

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self._key_A = np.array([key(campaign.item_id) for campaign in campaigns], np.int64)

    def __call__(self, context: AdsContext) -> None:
        row_A = context.catalogue.rows_of_keys(self._key_A)
        context.candidates = Candidates.of(CAMPAIGNS, row_A)


class Gone:
    """A filter: campaigns whose items are in the catalogue no more."""

    name: Final = "gone"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        is_there_C: NDArray[np.bool_] = context.candidates.row_C != 0
        return is_there_C


class Untargeted:
    """A filter: campaigns with target categories, none of them of the page or the user's clicks."""

    name: Final = "untargeted"

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self._targets = [frozenset(campaign.categories) for campaign in campaigns]

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        named = set(context.categories) or _clicked_categories(context)
        numbers = context.candidates.rank_in(CAMPAIGNS).tolist()
        targets = (self._targets[number] for number in numbers)
        return np.array([not target or bool(named & target) for target in targets], np.bool_)


class Auction:
    """The work of `rerank`: fill the slots from the best bid down.

    Who cannot pay leaves, and prices are made anew. Raises `StoreUnavailable` with the ads
    whose prices are reserved in `sold` where no more could be: one that was asked for then may be,
    is not shown, and goes back to its budget.
    """

    def __init__(self, campaigns: Sequence[Campaign], budgets: Reserves) -> None:
        self._campaigns, self._budgets = tuple(campaigns), budgets

    def __call__(self, context: AdsContext) -> None:
        running = self._bids(context.candidates)
        try:
            while running and len(context.sold) < context.num_items:
                bid, price_micros = second_price(running)[0]
                running.remove(bid)
                asked = bid.campaign.id, context.request_id, price_micros, context.now_ms
                if self._budgets.reserve(*asked):
                    context.sold.append((bid, price_micros))
                else:
                    self._remove(context.candidates, bid, "cannot_pay")
        except StoreUnavailable:
            self._keep_sold(context, "not_reserved")
            raise
        self._keep_sold(context, "outbid")

    def _bids(self, candidates: Candidates) -> list[Bid]:
        """A bid for each candidate; none without a model to price clicks with."""
        if candidates.p_click_C is None:
            return []
        p_clicks = candidates.p_click_C.tolist()
        return [Bid(*one) for one in zip(self._campaigns_of(candidates), p_clicks, strict=True)]

    def _campaigns_of(self, candidates: Candidates) -> list[Campaign]:
        return [self._campaigns[number] for number in candidates.rank_in(CAMPAIGNS).tolist()]

    def _remove(self, candidates: Candidates, bid: Bid, reason: str) -> None:
        others = [campaign.id != bid.campaign.id for campaign in self._campaigns_of(candidates)]
        candidates.keep(np.array(others, np.bool_), reason)

    def _keep_sold(self, context: AdsContext, reason: str) -> None:
        candidates = context.candidates
        ids = [campaign.id for campaign in self._campaigns_of(candidates)]
        places = [ids.index(bid.campaign.id) for bid, _ in context.sold]
        reason = reason if candidates.p_click_C is not None else "no_price"
        candidates.keep(np.array(places, np.int64), reason)


def answer(context: AdsContext) -> None:
    """Make the ads out of the sold bids, in their order."""
    catalogue = context.catalogue
    context.ads = tuple(
        PlacedAd(
            campaign_id=bid.campaign.id,
            item_id=bid.campaign.item_id,
            title=(catalogue.get(bid.campaign.item_id) or Item("")).title,
            position=position,
            p_click=bid.p_click,
            bid_micros=bid.campaign.bid_micros,
            ecpm_micros=bid.ecpm_micros,
            price_micros=price_micros,
        )
        for position, (bid, price_micros) in enumerate(context.sold)
    )


def impression(context: AdsContext, ads: AdSlate) -> ImpressionEvent | None:
    """The impression event of ads that were placed; None where none were."""
    shown = tuple(
        Shown(ad.item_id, ad.position, campaign_id=ad.campaign_id, price_micros=ad.price_micros)
        for ad in ads.ads
    )
    return logged(context, ads, shown, placed=True)


def _clicked_categories(context: Context) -> set[str]:
    item_T, _, action_T, _ = context.user.history_4T
    rows = context.catalogue.rows_of_keys(item_T[action_T & BIT[CLICK] != 0])
    return {name for item in context.catalogue.items(rows) for name in item.categories}
