"""Ads: campaigns, one auction per request, and budgets that replicas share in Redis.

A campaign bids per click. Its eCPM is `1,000 x bid x p_click` with the ranker's calibrated
probability; the best eCPMs win and each winner pays, for the impression, the eCPM of the next one
below divided by 1,000 (generalised second price, Edelman et al., 2007), or `MIN_PRICE_MICROS`.
The price leaves the budget in one atomic step, and an ad whose budget cannot pay it is not shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from redis import Redis

from headrace.action import BIT, CLICK
from headrace.api.slate import AdSlate, AdsRequest, PlacedAd
from headrace.errors import ConfigError, StoreUnavailable
from headrace.event import Id
from headrace.features.table import USER_LAYOUT
from headrace.skipped import Skipped
from serving.breaker import Breaker
from serving.live import Catalogue, View
from serving.recommend import NO_TIME, Recommender, Stopwatch, User

MIN_PRICE_MICROS = 1
UNREADABLE = -2
Micros = Annotated[int, msgspec.Meta(ge=1)]

# KEYS[1] budget, ARGV[1] price: the budget left, -1 when it cannot pay, -2 when it is no number.
_CHARGE = """
local stored = redis.pcall('GET', KEYS[1])
if not stored then return -1 end
if type(stored) ~= 'string' or not string.match(stored, '^%-?%d+$') or #stored > 18 then
  return -2
end
local price = tonumber(ARGV[1])
if tonumber(stored) < price then return -1 end
return redis.call('DECRBY', KEYS[1], price)
"""


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One campaign: it advertises an item of the catalogue."""

    id: Id
    item_id: Id
    bid_micros: Micros  # per click
    budget_micros: Micros  # for the whole campaign
    categories: tuple[str, ...] = ()  # of the page or the user; empty: everywhere


class CampaignFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The campaigns' YAML file."""

    campaigns: tuple[Campaign, ...]


@dataclass(frozen=True, slots=True)
class Bid:
    """A campaign's offer in one auction."""

    campaign: Campaign
    p_click: float

    @property
    def ecpm_micros(self) -> int:
        return int(1_000 * self.campaign.bid_micros * self.p_click)


def read_campaigns(path: str, catalogue: Catalogue) -> tuple[Campaign, ...]:
    """The campaigns of a file (none for an empty path); raises `ConfigError` for a bad one."""
    if not path:
        return ()
    try:
        file = msgspec.yaml.decode(Path(path).read_bytes(), type=CampaignFile)
    except OSError as error:
        raise ConfigError(f"campaigns file {path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"campaigns file {path}: {error}") from None
    ids = [campaign.id for campaign in file.campaigns]
    problems = [f"id {i!r} is used twice" for i in sorted(set(ids)) if ids.count(i) > 1]
    problems += [
        f"campaign {c.id!r} advertises unknown item {c.item_id!r}"
        for c in file.campaigns
        if c.item_id not in catalogue.row_of_id
    ]
    if problems:
        raise ConfigError(f"campaigns file {path}: {'; '.join(problems)}")
    return file.campaigns


def second_price(bids: Sequence[Bid]) -> list[tuple[Bid, int]]:
    """The bids from best to worst, each with what it pays for an impression, in micros."""
    ordered = sorted(bids, key=lambda bid: (-bid.ecpm_micros, bid.campaign.id))
    below = [bid.ecpm_micros for bid in ordered[1:]] + [0]
    return [
        (bid, max(-(-next_ecpm // 1_000), MIN_PRICE_MICROS))
        for bid, next_ecpm in zip(ordered, below, strict=True)
    ]


class Budgets:
    """What the campaigns have left, in Redis, shared by all replicas."""

    def __init__(
        self,
        redis: Redis,
        namespace: str,
        skipped: Skipped | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._redis, self._namespace = redis, namespace
        self._skipped = skipped or Skipped()
        self._breaker = breaker or Breaker("the budgets' Redis", redis.ping)
        self._charge = redis.register_script(_CHARGE)

    def open(self, campaigns: Sequence[Campaign]) -> None:
        """Give each campaign its budget unless it has one already."""
        for campaign in campaigns:
            self._redis.set(self._name(campaign.id), campaign.budget_micros, nx=True)

    def left_micros(self, campaign_id: str) -> int:
        return int(self._redis.get(self._name(campaign_id)) or 0)

    def charge(self, campaign_id: str, price_micros: int) -> bool:
        """Take the price out of the budget; False, and nothing taken, if there is less left.

        Raises `StoreUnavailable` where Redis does not say.
        """
        keys = [self._name(campaign_id)]
        left = int(self._breaker.call(lambda: self._charge(keys=keys, args=[price_micros])))
        if left == UNREADABLE:
            self._skipped.add("budgets", "no number", f"key {self._name(campaign_id)} in Redis")
        return left >= 0

    def _name(self, campaign_id: str) -> str:
        return f"{self._namespace}:budget:{campaign_id}"


class AdServer:
    """Runs the auctions."""

    def __init__(
        self,
        campaigns: Sequence[Campaign],
        budgets: Budgets,
        recommender: Recommender,
        catalogue: Catalogue,
    ) -> None:
        self._campaigns, self._budgets = tuple(campaigns), budgets
        self._recommender, self._catalogue = recommender, catalogue

    def place(
        self, request: AdsRequest, view: View, now_ms: int, marks: tuple[str, ...] = ()
    ) -> AdSlate:
        """The ads of a request; none, marked, while there is no model to price clicks with, and
        none that nobody can charge. `marks` are what else has to be done without."""
        watch = Stopwatch()
        user = self._recommender.user(request.user_id)
        watch.lap("features")
        eligible = self._eligible(request, user)
        watch.lap("targeting")
        bids = self._bids(eligible, user, view, now_ms, request.surface)
        watch.lap("ranking")
        degraded = user.degraded + (() if view.model else ("no_model",)) + marks
        ads, is_charged = self._auction(bids, request.num_ads)
        watch.lap("auction")
        return AdSlate(
            request_id=uuid.uuid4().hex,
            user_id=request.user_id,
            model_version=view.model.manifest.version if view.model else 0,
            model_age_ms=now_ms - view.model.manifest.created_ms if view.model else None,
            ads=ads,
            degraded=degraded if is_charged else (*degraded, "no_budgets"),
            stage_ms=watch.total(),
        )

    def _eligible(self, request: AdsRequest, user: User) -> list[Campaign]:
        """Campaigns without targeting, and those that target the page or the user's clicks."""
        named = set(request.categories) or self._clicked_categories(user)
        return [c for c in self._campaigns if not c.categories or named & set(c.categories)]

    def _clicked_categories(self, user: User) -> set[str]:
        item_T, _, action_T, _ = USER_LAYOUT.value("user_history", user.state_1, NO_TIME)[0]
        clicked_keys = item_T[action_T & BIT[CLICK] != 0].tolist()
        rows = (self._catalogue.row_of_key.get(item_key, 0) for item_key in clicked_keys)
        return {name for row in rows for name in self._catalogue.items[row].categories}

    def _bids(
        self, campaigns: Sequence[Campaign], user: User, view: View, now_ms: int, surface: str
    ) -> list[Bid]:
        rows = [self._catalogue.row_of_id[campaign.item_id] for campaign in campaigns]
        rows_C = np.array(rows, dtype=np.int64)
        ranked = self._recommender.rank(user, rows_C, view, now_ms, surface)
        if ranked.p_click_C is None:
            return []
        return [Bid(c, float(p)) for c, p in zip(campaigns, ranked.p_click_C, strict=True)]

    def _auction(self, bids: Sequence[Bid], num_ads: int) -> tuple[tuple[PlacedAd, ...], bool]:
        """Fill the slots from the best bid down; who cannot pay leaves and prices are made anew.

        False with the ads that are paid where budgets could not be charged any more. One that was
        asked to be charged then may be, and is not shown: nobody pays less than he is shown.
        """
        running, placed = list(bids), list[PlacedAd]()
        while running and len(placed) < num_ads:
            bid, price_micros = second_price(running)[0]
            running.remove(bid)
            try:
                is_paid = self._budgets.charge(bid.campaign.id, price_micros)
            except StoreUnavailable:
                return tuple(placed), False
            if is_paid:
                placed.append(self._placed(bid, price_micros, len(placed)))
        return tuple(placed), True

    def _placed(self, bid: Bid, price_micros: int, position: int) -> PlacedAd:
        campaign = bid.campaign
        return PlacedAd(
            campaign_id=campaign.id,
            item_id=campaign.item_id,
            title=self._catalogue.items[self._catalogue.row_of_id[campaign.item_id]].title,
            position=position,
            p_click=bid.p_click,
            bid_micros=campaign.bid_micros,
            ecpm_micros=bid.ecpm_micros,
            price_micros=price_micros,
        )
