"""Reads: who is not there, what is null, several views at once, and the work of one read."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from backends import NOON, STOCK_REDIS, Repo, shop
from feast import FeatureService
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Array, Float32, Int64, String

PRESENT, NOT_FOUND = FieldStatus.PRESENT, FieldStatus.NOT_FOUND


@pytest.fixture
def two_views(repo: Repo) -> Repo:
    """A user's clicks and title, a shop's rate; users a and b and shop 1 have rows."""
    repo.view("users", {"clicks": Int64, "title": String, "seen": Array(Int64)})
    repo.view("shops", {"rate": Float32, "title": String}, entities=[shop])
    repo.apply()
    repo.write("users", user_id=["a", "b"], clicks=[1, None], title=["A", "B"], seen=[[7], None])
    repo.write("shops", shop_id=[1], rate=[0.5], title=["one"])
    return repo


def test_an_entity_that_is_not_there_is_none_and_no_error(two_views: Repo) -> None:
    answer = two_views.read(["users:clicks", "users:title"], user_id=["x", "a", "y", ""])
    assert answer["clicks"] == [None, 1, None, None]
    assert answer["title"] == [None, "A", None, None]
    assert two_views.read(["users:clicks"], user_id=["x"])["clicks"] == [None]


def test_a_null_is_present_and_a_missing_row_is_not_found(two_views: Repo) -> None:
    if two_views.kind == STOCK_REDIS:
        pytest.skip("Feast's Redis store calls features of a missing row present, without a value")
    statuses = two_views.statuses(["users:clicks", "users:title"], user_id=["a", "b", "x"])
    assert statuses == [[PRESENT, PRESENT, NOT_FOUND]] * 2


def test_an_entity_asked_for_twice_is_answered_twice(two_views: Repo) -> None:
    answer = two_views.read(["users:clicks"], user_id=["a", "x", "a", "b", "a"])
    assert answer["clicks"] == [1, None, 1, None, 1]


def test_several_views_and_full_names_in_one_call(two_views: Repo) -> None:
    answer = two_views.store.get_online_features(
        features=["users:title", "shops:title", "shops:rate", "users:seen"],
        entity_rows=[{"user_id": "a", "shop_id": 1}, {"user_id": "x", "shop_id": 1}],
        full_feature_names=True,
    ).to_dict()
    assert answer == {
        "user_id": ["a", "x"],
        "shop_id": [1, 1],
        "users__title": ["A", None],
        "users__seen": [[7], None],
        "shops__title": ["one", "one"],
        "shops__rate": [0.5, 0.5],
    }


def test_event_times_come_with_the_values(two_views: Repo) -> None:
    answer = two_views.store.get_online_features(
        features=["users:clicks"], entity_rows=[{"user_id": "a"}, {"user_id": "x"}]
    ).to_dict(include_event_timestamps=True)
    assert answer["clicks__ts"] == [int(NOON.timestamp()), 0]


def test_a_feature_service_names_features_of_several_views(two_views: Repo) -> None:
    users, shops = two_views.views["users"], two_views.views["shops"]
    service = FeatureService(name="ranker", features=[users[["clicks"]], shops])
    two_views.store.apply([service])
    answer = two_views.store.get_online_features(
        features=service, entity_rows=[{"user_id": "a", "shop_id": 1}]
    ).to_dict()
    assert {name: answer[name] for name in ("clicks", "rate", "title")} == {
        "clicks": [1],
        "rate": [0.5],
        "title": ["one"],
    }


def test_a_view_without_entities_has_one_row_for_everybody(two_views: Repo) -> None:
    two_views.view("site", {"visits": Int64}, entities=[])
    two_views.apply()
    row = {"visits": 3, "event_timestamp": NOON}
    two_views.write_file("site", [row], pa.schema([("visits", pa.int64())]))
    two_views.store.materialize(NOON - timedelta(1), NOON, feature_views=["site"])
    answer = two_views.read(["site:visits", "users:clicks"], user_id=["a", "x"])
    assert answer["visits"] == [3, 3] and answer["clicks"] == [1, None]


def test_ids_that_are_not_given_are_an_error(two_views: Repo) -> None:
    with pytest.raises(KeyError, match="user_id"):
        two_views.store.get_online_features(
            features=["users:clicks"], entity_rows=[{"other_id": "a"}]
        )


def test_the_work_of_a_read_does_not_grow_with_the_reads_before_it(two_views: Repo) -> None:
    def calls_of_a_read() -> int:
        count = 0

        def counted(_: Any, event: str, __: Any) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(counted)
        try:
            two_views.read(["users:clicks", "users:title"], user_id=["a", "x"])
        finally:
            sys.setprofile(None)
        return count

    early = min(calls_of_a_read() for _ in range(10))
    for _ in range(200):
        two_views.read(["users:clicks", "users:title"], user_id=["a", "x"])
    # Of several reads the one without a timer or a collection of garbage in it.
    assert min(calls_of_a_read() for _ in range(10)) <= early
