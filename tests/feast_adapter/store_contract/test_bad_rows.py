"""Rows and requests that are wrong: a clear error, or a null, and what was there stays."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from backends import NOON, Repo
from feast.errors import FeatureViewNotFoundException, PushSourceNotFoundException
from feast.types import Float32, Int64

LATER = {"event_timestamp": [NOON + timedelta(hours=1)]}
FEATURES = ["stats:clicks", "stats:rate"]


@pytest.fixture
def stats(repo: Repo) -> Repo:
    """A repository with one view, and a row in it."""
    repo.view("stats", {"clicks": Int64, "rate": Float32})
    repo.apply()
    repo.write("stats", user_id=["a"], clicks=[1], rate=[0.5])
    return repo


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"clicks": ["many"], "rate": [0.25]}, "invalid literal for int.* 'many'"),
        ({"clicks": [2], "rate": ["high"]}, "could not convert string to float: 'high'"),
        ({"clicks": [2]}, "'rate'.* not in index"),
    ],
    ids=["text for an integer", "text for a float", "a column is missing"],
)
@pytest.mark.parametrize("way", ["write", "push"])
def test_a_row_of_a_wrong_type_is_refused_and_the_one_before_stays(
    stats: Repo, columns: dict[str, Any], error: str, way: str
) -> None:
    with pytest.raises((ValueError, KeyError), match=error):
        getattr(stats, way)("stats", user_id=["a"], **columns, **LATER)
    assert stats.read(FEATURES, user_id=["a"]) == {"user_id": ["a"], "clicks": [1], "rate": [0.5]}


def test_a_nan_is_a_null_and_no_number(stats: Repo) -> None:
    later = {"event_timestamp": [NOON + timedelta(hours=1)] * 2}
    stats.write("stats", user_id=["a", "b"], clicks=[math.nan, 2], rate=[0.25, math.nan], **later)
    read = stats.read(FEATURES, user_id=["a", "b"])
    assert read["clicks"] == [None, 2] and read["rate"] == [0.25, None]


def test_what_no_view_or_feature_is_called_is_named(stats: Repo) -> None:
    with pytest.raises(FeatureViewNotFoundException, match="nonsense does not exist"):
        stats.read(["nonsense:clicks"], user_id=["a"])
    with pytest.raises(KeyError, match="nonsense not found in projection stats"):
        stats.read(["stats:nonsense"], user_id=["a"])
    with pytest.raises(KeyError, match="nonsense"):
        stats.write("nonsense", user_id=["a"], clicks=[1])
    with pytest.raises(PushSourceNotFoundException, match="nonsense_push"):
        stats.push("nonsense", user_id=["a"], clicks=[1])


def test_a_request_without_the_join_key_of_a_view_names_it(stats: Repo) -> None:
    with pytest.raises(KeyError, match="Missing join key.*user_id"):
        stats.read(FEATURES, shop_id=[1])
