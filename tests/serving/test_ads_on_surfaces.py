"""Ads are priced for the surface of their request, like slates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
from redis import Redis
from small_loop import NOW_MS, replica
from two_surfaces import SURFACES

from headrace.ads.budgets import Budgets
from headrace.ads.campaign import Campaign
from headrace.api.slate import AdsRequest, InvalidRequest, RecommendRequest, parse
from headrace.config import Settings
from headrace.features.online.store import OnlineStore
from serving.ads import AdServer
from serving.recommend import Recommender
from serving.replica.snapshot import Snapshot
from serving.stages.hydrate import Hydrate

pytestmark = pytest.mark.services

CAMPAIGNS = [Campaign(f"c{n}", f"i{n}", bid_micros=10, budget_micros=10**6) for n in (3, 4, 7)]


@pytest.fixture(scope="module")
def serving(settings: Settings) -> Iterator[tuple[Recommender, AdServer, Snapshot]]:
    """A replica's parts, and what it holds."""
    with replica(settings) as live, closing(Redis.from_url(settings.redis_url)) as redis:
        view, budgets = live.catch_up(), Budgets(redis, settings.namespace)
        budgets.open(CAMPAIGNS)
        hydrate = Hydrate(OnlineStore(settings))
        recommender = Recommender(hydrate, live.catalogue, 30)
        yield recommender, AdServer(CAMPAIGNS, budgets, hydrate, live.catalogue), view


def test_an_ad_has_the_probability_of_its_item_on_the_surface(
    serving: tuple[Recommender, AdServer, Snapshot],
) -> None:
    recommender, ads, view = serving
    seen = []
    for surface in (*SURFACES, "elsewhere"):
        asked = RecommendRequest("u0", num_items=30, surface=surface, record=False)
        slate, _ = recommender.recommend(asked, view, NOW_MS)
        p_click = {item.item_id: item.p_click for item in slate.items}
        placed = ads.place(AdsRequest("u0", num_ads=3, surface=surface), view, NOW_MS)[0].ads
        assert {ad.item_id: ad.p_click for ad in placed} == pytest.approx(
            {campaign.item_id: p_click[campaign.item_id] for campaign in CAMPAIGNS}
        )
        seen.append(sorted(ad.p_click for ad in placed))
    assert seen[0] != pytest.approx(seen[1], rel=1e-3) != pytest.approx(seen[2], rel=1e-3)


@pytest.mark.parametrize("request_type", [RecommendRequest, AdsRequest])
def test_both_requests_have_the_same_surface(request_type: Any) -> None:
    assert parse(b'{"user_id": "u0"}', request_type).surface == "home"
    asked = msgspec.json.encode({"user_id": "u0", "surface": "search"})
    assert parse(asked, request_type).surface == "search"
    with pytest.raises(InvalidRequest) as caught:
        parse(b'{"user_id": "u0", "surface": 5}', request_type)
    assert caught.value.field == "surface"
