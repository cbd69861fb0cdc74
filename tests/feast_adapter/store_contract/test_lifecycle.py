"""Views come, change and go; what the others hold stays."""

from __future__ import annotations

import pytest
from backends import PACKED, Repo
from feast.types import Float32, Int64, String


def test_a_removed_view_is_deleted_and_only_that(repo: Repo) -> None:
    kept = repo.view("kept", {"x": Int64})
    gone = repo.view("gone", {"x": Int64})
    repo.apply()
    for view in (kept, gone):
        repo.write(view.name, user_id=["a", "b"], x=[1, 2])
    repo.apply(gone)
    assert repo.read(["kept:x"], user_id=["a", "b"])["x"] == [1, 2]
    repo.view("gone", {"x": Int64})
    repo.apply()
    assert repo.read(["gone:x"], user_id=["a", "b"])["x"] == [None, None]


def test_teardown_deletes_the_rows(repo: Repo) -> None:
    repo.view("some", {"x": Int64})
    repo.apply()
    repo.write("some", user_id=["a"], x=[1])
    views = list(repo.views.values())
    repo.store.teardown()
    repo.__post_init__()
    repo.views = {view.name: view for view in views}
    repo.apply()
    assert repo.read(["some:x"], user_id=["a"])["x"] == [None]


def test_a_feature_that_is_added_is_missing_in_rows_from_before(repo: Repo) -> None:
    repo.view("some", {"x": Int64})
    repo.apply()
    repo.write("some", user_id=["a"], x=[1])
    repo.view("some", {"new": String, "x": Int64})
    repo.apply()
    repo.write("some", user_id=["b"], x=[2], new=["here"])
    answer = repo.read(["some:x", "some:new"], user_id=["a", "b"])
    assert answer["x"] == [1, 2] and answer["new"] == [None, "here"]


def test_a_feature_that_is_removed_leaves_the_others(repo: Repo) -> None:
    repo.view("some", {"x": Int64, "old": Float32, "y": String})
    repo.apply()
    repo.write("some", user_id=["a"], x=[1], old=[0.5], y=["text"])
    repo.view("some", {"x": Int64, "y": String})
    repo.apply()
    assert repo.read(["some:x", "some:y"], user_id=["a"]) == {
        "user_id": ["a"],
        "x": [1],
        "y": ["text"],
    }


def test_a_feature_of_another_type_has_no_value_in_rows_from_before(repo: Repo) -> None:
    repo.view("some", {"x": Int64, "y": Int64})
    repo.apply()
    repo.write("some", user_id=["a"], x=[1], y=[2])
    repo.view("some", {"x": String, "y": Int64})
    repo.apply()
    if repo.kind != PACKED:
        pytest.skip("Feast's own stores give the value of the type that it once had")
    assert repo.read(["some:x", "some:y"], user_id=["a"])["x"] == [None]
    assert repo.read(["some:x", "some:y"], user_id=["a"])["y"] == [2]
