"""Lists beside slates, without servers: given items, items that go with some, what trends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from request_path import CATALOGUE, ITEMS, NOW_MS, clicked, user_of
from test_stages_of_a_slate import UNRANKED, Store, slate

from headrace.api.slate import InvalidRequest, RankRequest, SimilarRequest, Slate, TrendingQuery
from headrace.broker.record import Record
from headrace.event import ActionEvent, ClickEvent, encode
from headrace.features.store.last_items import USER_HIDES
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.keys import surface_code
from headrace.pipeline.context import User
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import PartitionSettings
from serving.lists import Lists
from serving.stages.hydrate import Hydrate


def lists(user: User | None = None) -> Lists:
    store = Store({"ann": user} if user else {})
    return Lists(Hydrate(store, lists=tuple(USER_HIDES)), CATALOGUE, 8)


def ids(answer: Slate) -> list[str]:
    return [item.item_id for item in answer.items]


def removed(answer: Any) -> dict[str, str]:
    return {one.item_id: one.reason for one in answer.removed}


HID_I3 = user_of(ActionEvent("e", NOW_MS - 10_000, "ann", "i3", "hide"))


def test_given_items_are_ranked_each_once_without_hidden_and_unknown_ones() -> None:
    asked = RankRequest("ann", ("i7", "i3", "no such item", "i7", "i1"), explain=True)
    answer = lists(HID_I3).rank(asked, UNRANKED, NOW_MS)
    assert ids(answer) == ["i7", "i1"] and removed(answer) == {"i3": "hidden"}
    assert [item.sources for item in answer.items] == [("given",), ("given",)]
    assert answer.degraded == ("no_model", "unknown_items", "all_hidden")
    assert [*answer.stage_ms] == [
        *("hydrate", "sources", "merge", "filters", "refill", "rank", "rerank", "answer", "total")
    ]


def test_as_many_of_the_given_items_as_are_asked_for() -> None:
    answer = lists().rank(RankRequest("ann", ("i4", "i2", "i9"), num_items=2), UNRANKED, NOW_MS)
    assert ids(answer) == ["i4", "i2"] and answer.degraded == ("no_model",)
    assert "removed" not in msgspec.to_builtins(answer)


def test_similar_items_share_categories_and_are_none_of_those_asked_about() -> None:
    asked = SimilarRequest(("i1", "no such item"), exclude=("i4",), num_items=2, explain=True)
    answer = lists().similar(asked, UNRANKED, NOW_MS)
    assert ids(answer) == ["i7", "i10"] and removed(answer) == {"i4": "excluded"}
    assert answer.degraded == () and answer.user_id == ""
    assert [item.sources for item in answer.items] == [("same_categories",)] * 2


def test_similar_items_are_ranked_for_a_user_who_is_named() -> None:
    answer = lists(HID_I3).similar(SimilarRequest(("i6",), "ann"), UNRANKED, NOW_MS)
    assert ids(answer) == ["i9", "i12"]
    assert "no_model" in answer.degraded and "hydrate" in answer.stage_ms


def test_items_that_go_with_unknown_ones_are_refused_with_the_field() -> None:
    with pytest.raises(InvalidRequest) as told:
        lists().similar(SimilarRequest(("no such item",)), UNRANKED, NOW_MS)
    assert told.value.field == "items"


def test_what_trends_is_the_same_for_everybody_and_of_a_category_if_one_is_named() -> None:
    answer = lists().trending(TrendingQuery(num_items=3), UNRANKED, NOW_MS)
    assert ids(answer) == ["i1", "i2", "i3"] and answer.degraded == ()
    pens = lists().trending(TrendingQuery(category="pens"), UNRANKED, NOW_MS)
    assert ids(pens) == ["i2", "i5", "i8", "i11"] and pens.degraded == ("no_more_items",)
    assert ids(lists().trending(TrendingQuery(category="cars"), UNRANKED, NOW_MS)) == []


def test_a_slate_names_the_sources_of_its_items_and_explains_only_where_asked() -> None:
    store = Store({"ann": clicked("i11")})
    plain, _ = slate(store, num_items=2)
    assert [item.sources for item in plain.items] == [("best_categories", "trending")] * 2
    assert "removed" not in msgspec.to_builtins(plain)
    told, _ = slate(store, num_items=2, exclude=("i1",), explain=True)
    reasons = removed(told)
    assert (reasons["i11"], reasons["i1"]) == ("seen", "excluded")
    assert {*ids(told)}.isdisjoint(reasons) and len(told.items) + len(reasons) == len(CATALOGUE)
    assert set(reasons.values()) == {"seen", "excluded", "over_quota", "outranked"}
    assert np.all([item.sources for item in told.items])


def test_what_trends_on_a_surface_comes_first_where_one_is_named() -> None:
    path = BatchPath({item.item_id: item for item in ITEMS}.get, PartitionSettings(100, 60_000))
    clicked_ids = ["i7"] * 3 + ["i8"] * 2 + ["unknown"] * 9
    clicks = [
        ClickEvent(f"e{n}", NOW_MS, "ann", item_id, surface="search")
        for n, item_id in enumerate(clicked_ids)
    ]
    records = [Record(0, n, NOW_MS, b"", encode(click)) for n, click in enumerate(clicks)]
    path.process(0, decode_records(records, NOW_MS), NOW_MS)
    table = path.merged.tables[SURFACE_TRENDS]
    states = table.states(table.find([str(surface_code("search"))]))
    snapshot = replace(UNRANKED, surface_trends={surface_code("search"): states})
    query = TrendingQuery(num_items=3, surface="search")
    answer = lists().trending(query, snapshot, NOW_MS)
    assert ids(answer) == ["i7", "i8", "i1"]
    assert [item.reason for item in answer.items] == ["trending_here"] * 2 + ["trending"]
    pens = lists().trending(TrendingQuery(2, "pens", "search"), snapshot, NOW_MS)
    assert ids(pens) == ["i8", "i2"]
    assert ids(lists().trending(TrendingQuery(3, surface="home"), snapshot, NOW_MS))[0] == "i1"
