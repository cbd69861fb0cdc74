"""What a request may ask for beside a user: candidates, filters, weights, and rules of the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ranked_shop import HYDRATE, TABLE, UNRANKED, ranked, version
from request_path import NOW_MS, clicked
from test_stages_of_a_slate import Store

from headrace.api.slate import InvalidRequest, RankRequest, RecommendRequest, Slate
from headrace.application.condition import HasWord, InRange, Not
from headrace.application.reranking import Boost, Caps, Diversity, Pin, Reranking
from headrace.application.sections import Application
from headrace.application.seen import SeenPolicy
from headrace.features.store.last_items import USER_SHOWN
from serving.lists import Lists
from serving.recommend import Recommender
from serving.replica.snapshot import Snapshot
from serving.stages import asked as stages_asked
from serving.stages.hydrate import Hydrate

SOURCES = {"best_categories": 0.25, "trending": 1.0}
SHOP = Application(sources=SOURCES)


def slate(
    application: Application = SHOP, snapshot: Snapshot = UNRANKED, store: Any = None, **asked: Any
) -> Slate:
    hydrate = Hydrate(store, lists=(USER_SHOWN,)) if store else HYDRATE
    recommender = Recommender(hydrate, TABLE, 8, application=application)
    return recommender.recommend(RecommendRequest("ann", **asked), snapshot, NOW_MS)[0]


def ids(answer: Slate) -> list[str]:
    return [item.item_id for item in answer.items]


def reasons(answer: Slate) -> dict[str, str]:
    return {one.item_id: one.reason for one in answer.removed or ()}


def test_given_candidates_are_the_only_ones_however_many_are_ranked() -> None:
    told = tuple(f"i{n}" for n in (12, 3, 3, 7, 1, 2, 4, 5, 6, 8, 9)) + ("unknown",)
    answer = slate(candidates=told, num_items=20, store=Store({"ann": clicked("i7")}))
    assert ids(answer)[:3] == ["i12", "i3", "i1"] and len(ids(answer)) == 10
    assert ids(answer)[-1] == "i7" and answer.items[-1].reason == "seen_again"
    assert {item.sources for item in answer.items} == {("given",)}
    assert answer.degraded == ("no_model", "unknown_items", "seen_again", "no_more_items")


def test_each_item_has_the_reason_why_it_is_there() -> None:
    pins = (Pin("i9", 1, ("home",)), Pin("i8", 0, ("search",)))
    application = Application(sources=SOURCES, rerank=Reranking(pins=pins))
    answer = slate(application, num_items=3, store=Store({"ann": clicked("i11")}))
    assert [(item.item_id, item.reason) for item in answer.items] == [
        ("i2", "best_categories"),
        ("i9", "pinned"),
        ("i5", "best_categories"),
    ]
    assert answer.items[1].sources == ("pinned", "trending")
    assert ids(slate(application, num_items=3, surface="search")) == ["i8", "i1", "i2"]
    assert slate(num_items=1).items[0].reason == "trending"


def test_a_pinned_item_stays_though_it_was_seen_and_goes_where_it_may_not_be_shown() -> None:
    application = Application(sources=SOURCES, rerank=Reranking(pins=(Pin("i11", 0),)))
    store = Store({"ann": clicked("i11")})
    assert ids(slate(application, store=store, num_items=2)) == ["i11", "i2"]
    assert ids(slate(application, store=store, num_items=2, exclude=("i11",))) == ["i2", "i5"]


def test_filters_of_a_request_remove_with_their_reason_and_sources_are_asked_for_more() -> None:
    answer = slate(num_items=2, filters={"price": {"above": 9}}, explain=True)
    assert ids(answer) == ["i10", "i11"] and "refill" in answer.stage_ms
    assert set(reasons(answer).values()) == {"filtered", "outranked"}
    assert len(answer.items) + len(reasons(answer)) == len(TABLE)


def test_filters_of_the_file_have_names() -> None:
    application = Application(
        filters={"cheap": InRange("price", below=5)}, blocked=HasWord("attributes", ("brand=a",))
    )
    answer = slate(application, num_items=4, explain=True)
    assert ids(answer) == ["i1", "i3"]
    assert answer.degraded == ("no_model", "all_blocked", "all_cheap")
    assert reasons(answer)["i2"] == "blocked" and reasons(answer)["i5"] == "cheap"
    both = Lists(HYDRATE, TABLE, 8, application)
    rank = both.rank(RankRequest("ann", ("i2", "i3", "i5"), explain=True), UNRANKED, NOW_MS)
    assert ids(rank) == ["i3"] and reasons(rank) == {"i2": "blocked", "i5": "cheap"}


@pytest.mark.parametrize(
    ("asked", "field", "told"),
    [
        ({"filters": {"price": "low"}}, "filters.price", "got 'low', expected a number"),
        ({"filters": {"any": []}}, "filters.any", "got [], expected a list of conditions"),
        ({"filters": {"a": [1] * 2_000}}, "filters.a", "got 2000 values, expected 1000 at most"),
        ({"weights": {"likes": 1}}, "weights.likes", "declared in `weights` are: click, value"),
        ({"weights": {"click": 3}}, "weights.click", "got 3, expected a number from 0 to 2"),
        ({"weights": {"click": float("nan")}}, "weights.click", "got nan, expected a number from"),
    ],
)
def test_what_is_wrong_names_its_field(
    asked: dict[str, Any], field: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = Application(weights={"click": (0, 2), "value": (0, 1)})
    monkeypatch.setattr(stages_asked, "APPLICATION", bounds)
    with pytest.raises(InvalidRequest) as caught:
        slate(**asked)
    assert caught.value.field == field and told in str(caught.value)


def test_weights_of_a_request_order_its_slate_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds = {"click": (0.0, 2.0), "purchase": (-1.0, 1.0), "value": (0.0, 1.0)}
    monkeypatch.setattr(stages_asked, "APPLICATION", Application(weights=bounds))
    snapshot = ranked()
    plain = slate(snapshot=snapshot, num_items=5)
    assert [item.score for item in plain.items] == [item.p_click for item in plain.items]
    by_value = slate(snapshot=snapshot, num_items=5, weights={"click": 0.0, "value": 1.0})
    assert ids(by_value)[0] == "i8"  # the dearest of those that are ranked: p is nearly the same
    assert [item.score for item in by_value.items] == pytest.approx(
        [item.p["purchase"] * int(item.item_id[1:]) for item in by_value.items], rel=1e-5
    )
    by_purchase = slate(snapshot=snapshot, num_items=5, weights={"click": 0, "purchase": -1.0})
    assert [item.score for item in by_purchase.items] == pytest.approx(
        [-item.p["purchase"] for item in by_purchase.items]
    )
    assert ids(slate(snapshot=snapshot, num_items=5)) == ids(plain)


def test_a_weight_of_a_head_that_a_version_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds = Application(weights={"purchase": (0.0, 1.0)})
    monkeypatch.setattr(stages_asked, "APPLICATION", bounds)
    with pytest.raises(InvalidRequest) as caught:
        slate(snapshot=ranked("click"), weights={"purchase": 1.0})
    assert caught.value.field == "weights.purchase" and "version 1" in str(caught.value)


def test_the_model_tells_the_vectors_that_slates_are_diverse_by() -> None:
    rows = np.array([1, 4, 12])
    model = version()
    assert model.items.vectors("content", rows).shape[0] == 3
    assert np.linalg.norm(model.items.vectors("content", rows), axis=1) == pytest.approx(1)
    assert model.items.vectors("factors", rows).shape[0] == 3
    assert UNRANKED.vectors("content", rows) is None
    for by in ("content", "factors", "categories"):
        told = Reranking(diversity=Diversity(by=by), caps=Caps({"category": 1}, True))
        answer = slate(Application(rerank=told), ranked(), num_items=6)
        assert {item.categories for item in answer.items} == {
            (name,) for name in ("tea", "mugs", "pens")
        }
        assert answer.degraded == ("all_over_cap",) or "all_over_cap" in answer.degraded


def test_given_items_are_boosted_and_weighed_like_slates() -> None:
    pens = HasWord("categories", ("pens",))
    told = Application(rerank=Reranking(boosts=(Boost(pens, 50.0), Boost(Not(pens), 0.5))))
    answer = Lists(HYDRATE, TABLE, 8, told).rank(
        RankRequest("ann", ("i1", "i2", "i3", "i5")), ranked(), NOW_MS
    )
    assert {*ids(answer)[:2]} == {"i2", "i5"} and "boosts" in answer.stage_ms


def test_surfaces_may_have_policies_of_seen_items_of_their_own() -> None:
    shop = Application(seen_on={"search": SeenPolicy("always"), "mail": SeenPolicy(strict=True)})
    store = Store({"ann": clicked("i1", "i2")})
    assert "i1" in ids(slate(shop, store=store, num_items=4, surface="search"))
    assert "i1" not in ids(slate(shop, store=store, num_items=4, surface="home"))
    wanted = {"num_items": 12, "candidates": ("i1", "i2", "i3")}
    assert ids(slate(shop, store=store, surface="mail", **wanted)) == ["i3"]
    assert len(ids(slate(shop, store=store, surface="home", **wanted))) == 3
