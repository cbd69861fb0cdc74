"""Ads in the log: as they are placed, with features, campaign and price; charged when shown."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from ranked_shop import HYDRATE, TABLE, ranked
from request_path import NOW_MS
from test_stages_of_ads import Budgets

from headrace import event
from headrace.ads.campaign import Campaign
from headrace.api.slate import AdSlate, AdsRequest
from headrace.broker.record import Record
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.rows.merged import MergedState
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import CAMPAIGN_LAYOUT
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import Effects, PartitionSettings
from serving.ads import AdServer

CAMPAIGNS = [Campaign(f"c{n}", f"i{n}", bid_micros=10_000 * n, budget_micros=10**6) for n in (3, 4)]
WINDOW_MS = 60_000
LATER_MS = NOW_MS + 10 * 86_400_000


def placed(**asked: Any) -> tuple[AdSlate, ImpressionEvent | None]:
    server = AdServer(CAMPAIGNS, Budgets({}), HYDRATE, TABLE)
    return server.place(AdsRequest("ann", num_ads=2, **asked), ranked(), NOW_MS)


def test_ads_are_logged_when_they_are_placed_as_what_the_ranker_read() -> None:
    ads, logged = placed(surface="banner")
    assert logged is not None and logged.placed and logged.request_id == ads.request_id
    assert logged.items == tuple(
        Shown(ad.item_id, ad.position, campaign_id=ad.campaign_id, price_micros=ad.price_micros)
        for ad in ads.ads
    )
    assert (logged.surface, logged.model_version) == ("banner", 1) and len(ads.ads) == 2
    assert logged.served is not None and logged.served.schema == INPUT_SCHEMA
    assert len(logged.served.dense) == 2 * NUM_DENSE * 4
    assert len(logged.served.history) == 3 * HISTORY_LENGTH * 8
    assert event.decode(event.encode(logged), NOW_MS) == logged
    assert placed(record=False)[1] is None


def streamed(*events: Event) -> tuple[Effects, Effects, MergedState]:
    """The effects of events in one step, and of the end of their windows."""
    path = BatchPath({}.get, PartitionSettings(1_000, WINDOW_MS))
    records = [Record(0, n, NOW_MS, b"", event.encode(one)) for n, one in enumerate(events)]
    effects = path.process(0, decode_records(records, NOW_MS), NOW_MS)
    return effects, path.process(0, [], LATER_MS), path.merged


def test_who_shows_placed_ads_is_charged_and_counted_once_whoever_tells_first() -> None:
    ads, logged = placed(surface="banner")
    assert logged is not None
    items = tuple(Shown(ad.item_id, campaign_id=ad.campaign_id) for ad in ads.ads)
    told = ImpressionEvent("told", NOW_MS, "ann", ads.request_id, items, "banner")
    unsigned = msgspec.structs.replace(logged, served=None)
    click = ClickEvent("k", NOW_MS, "ann", "i4", ads.request_id, "banner")
    for log in ((unsigned, told, click), (told, unsigned, click), (unsigned, told, told, click)):
        log = tuple(msgspec.structs.replace(one, event_id=f"e{n}") for n, one in enumerate(log))
        effects, closed, merged = streamed(*log)
        assert {*effects.shown_ads} == {("c3", ads.request_id), ("c4", ads.request_id)}
        (sample,) = closed.samples
        assert dict(zip(("i4", "i3"), sample.clicked, strict=True)) == {"i4": 1, "i3": 0}
        assert sample.surface == "banner"
        assert counts(merged, "c4") == pytest.approx((1, 1))
        assert counts(merged, "c3") == pytest.approx((1, 0))
    assert streamed(unsigned)[0].shown_ads == []


def counts(merged: MergedState, campaign: str) -> tuple[float, float]:
    """How often a campaign was shown, and clicked."""
    states, now_ms_1 = (
        merged.campaigns.states(merged.campaigns.find([campaign])),
        np.array([NOW_MS]),
    )
    shown, rate = (
        float(CAMPAIGN_LAYOUT.value(name, states, now_ms_1)[0])
        for name in ("campaign_impressions_log", "campaign_click_rate")
    )
    return np.expm1(shown), rate * (np.expm1(shown) + 50) - 0.02 * 50
