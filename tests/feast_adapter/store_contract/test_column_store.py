"""The fast path: arrays in and out of the rows that Feast's API reads and writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from backends import NOON, STOCK_REDIS, Repo, shop, user
from feast.types import Array, Bool, Bytes, Float32, Int32, Int64, String

from headrace.errors import FeatureError
from headrace.feast_adapter.columns import columns_of
from headrace.features.store.columns import ColumnStore, Expiry
from headrace.features.store.row import Stamp

NOON_MS = int(NOON.timestamp() * 1_000)


def stamp(num_rows: int, time_ms: int = NOON_MS) -> Stamp:
    positions = np.arange(num_rows) + 100
    return Stamp(np.full(num_rows, time_ms * 1_000), positions, np.full(num_rows, 3, np.int32))


@pytest.fixture
def repo(packed: Repo) -> Repo:
    """A user's activity and profile, and a pair's rate."""
    activity = {"a": Float32, "state": Bytes, "b": Float32, "n": Int64, "seen": Array(Int32)}
    packed.view("activity", activity, ttl=timedelta(hours=1))
    packed.view("profile", {"attributes": Array(String), "adult": Bool})
    packed.view("pairs", {"rate": Float32}, entities=[user, shop])
    packed.apply()
    return packed


@pytest.fixture
def columns(repo: Repo) -> ColumnStore:
    return columns_of(repo.store, clock=lambda: NOON_MS)


def test_arrays_have_defaults_and_a_mask_where_nothing_is_known(columns: ColumnStore) -> None:
    floats_NF = np.array([[1, 2], [3, 4]], np.float32)
    columns.write("activity", ["u1", "u2"], floats_NF, {"n": [7, None]}, stamp(2))
    values_NF, present_NF, times_N = columns.read_arrays("activity", ["u2", "new", "u1", ""])
    assert values_NF.tolist() == [[3, 4], [0, 0], [1, 2], [0, 0]]
    assert present_NF.tolist() == [[True] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert times_N.tolist() == [NOON_MS, 0, NOON_MS, 0]
    assert values_NF.dtype == np.float32 and times_N.dtype == np.int64


def test_arrays_of_nobody_are_empty(columns: ColumnStore) -> None:
    values_NF, present_NF, times_N = columns.read_arrays("activity", [])
    assert values_NF.shape == present_NF.shape == (0, 2) and times_N.shape == (0,)
    assert columns.read([]) == []
    columns.write("activity", [], np.zeros((0, 2), np.float32), {}, stamp(0))


def test_rows_that_are_to_end_do_and_others_stay(columns: ColumnStore, redis_client: Any) -> None:
    ids, floats_NF = ["u1", "u2", "u3"], np.ones((3, 2), np.float32)

    def ttls_s() -> list[int]:
        keys = [next(redis_client.scan_iter(f"*activity*={user_id}")) for user_id in ids]
        return [redis_client.ttl(key) for key in keys]

    expiry = Expiry(np.array([False, True, False]), ttl_s=1_000)
    columns.write("activity", ids, floats_NF, {"n": [1, 2, 3]}, stamp(3), expiry)
    assert [ttl_s > 990 for ttl_s in ttls_s()] == [False, True, False] and ttls_s()[0] == -1
    (rows,) = columns.read([("activity", ids)])
    assert rows.numbers("n")[0].tolist() == [1, 2, 3]
    expiry = Expiry(np.array([True, True, True]), ttl_s=10)
    columns.write("activity", ids, floats_NF, {}, stamp(3), expiry)
    assert all(0 < ttl_s <= 10 for ttl_s in ttls_s())
    columns.write("activity", ids, floats_NF, {}, stamp(3))  # known from now on
    assert ttls_s() == [-1, -1, -1]
    columns.delete("activity", ["u1", "u3", "nobody"])
    (rows,) = columns.read([("activity", ids)])
    assert rows.found_N.tolist() == [False, True, False]


def test_several_views_are_read_in_one_command(columns: ColumnStore, redis_client: Any) -> None:
    none_NF = np.zeros((1, 0), np.float32)
    state = {"state": [b"\0state"], "seen": [np.array([1, 2], np.int32)]}
    columns.write("activity", ["u1"], np.ones((1, 2), np.float32), state, stamp(1))
    columns.write("profile", ["u1"], none_NF, {"attributes": [["x", "y"]]}, stamp(1))
    redis_client.config_resetstat()
    activity, profile = columns.read([("activity", ["u1", "u2"]), ("profile", ["u2", "u1"])])
    calls = redis_client.info("commandstats")
    assert calls["cmdstat_mget"]["calls"] == 1 and "cmdstat_get" not in calls
    assert activity.cells("state") == [b"\0state", None]
    assert [v is None or v.tolist() for v in activity.values("seen")] == [[1, 2], True]
    assert activity.position_N.tolist() == [100, -1] and activity.partition_N.tolist() == [3, -1]
    assert profile.values("attributes") == [None, ["x", "y"]]
    assert profile.numbers("adult")[1].tolist() == [False, False]
    assert profile.known_N("adult").tolist() == [False, True]


def test_rows_are_written_in_one_pipeline_of_few_commands(
    columns: ColumnStore, redis_client: Any
) -> None:
    ids = [f"u{n}" for n in range(1_200)]
    redis_client.config_resetstat()
    columns.write("activity", ids, np.zeros((1_200, 2), np.float32), {}, stamp(1_200))
    calls = redis_client.info("commandstats")
    assert calls["cmdstat_mset"]["calls"] == 12 and "cmdstat_set" not in calls
    assert columns.read_arrays("activity", ids)[1].all()


def test_feast_reads_what_was_written_as_columns_and_back(repo: Repo, columns: ColumnStore) -> None:
    given = {"n": np.array([2**62, -1]), "state": [b"s", None], "seen": [[1], []]}
    columns.write("activity", ["u1", "u2"], np.array([[1, 2], [3, 4]]), given, stamp(2))
    repo.store._get_provider().online_store.clock = lambda: NOON_MS
    names = ["a", "state", "b", "n", "seen"]
    answer = repo.read([f"activity:{name}" for name in names], user_id=["u1", "u2"])
    assert [answer[name] for name in names] == [
        [1.0, 3.0],
        [b"s", None],
        [2.0, 4.0],
        [2**62, -1],
        [[1], []],
    ]
    repo.write("profile", user_id=["u1"], attributes=[["x"]], adult=[True])
    (profile,) = columns.read([("profile", ["u1"])])
    assert profile.values("attributes") == [["x"]]
    assert profile.numbers("adult")[0].tolist() == [True]
    assert profile.position_N.tolist() == [-1]


def test_a_row_past_its_ttl_counts_as_missing(repo: Repo, columns: ColumnStore) -> None:
    columns.write("activity", ["u1"], np.ones((1, 2), np.float32), {}, stamp(1))
    later = columns_of(repo.store, clock=lambda: NOON_MS + 3_600_001)
    values_NF, present_NF, times_N = later.read_arrays("activity", ["u1"])
    assert values_NF.tolist() == [[0, 0]] and not present_NF.any()
    assert times_N.tolist() == [NOON_MS]


def test_one_writer_may_replace_a_row_by_one_of_the_same_or_an_earlier_time(
    columns: ColumnStore,
) -> None:
    for value, time_ms in [(1, NOON_MS), (2, NOON_MS), (3, NOON_MS - 5)]:
        columns.write("activity", ["u1"], np.full((1, 2), value), {}, stamp(1, time_ms))
        assert columns.read_arrays("activity", ["u1"])[0].tolist() == [[value, value]]


def test_several_join_keys_are_given_in_their_order(columns: ColumnStore) -> None:
    ids = [(1, "a"), (2, "a,shop_id=1")]  # shop_id, user_id
    columns.write("pairs", ids, np.array([[0.5], [0.25]], np.float32), {}, stamp(2))
    assert columns.read_arrays("pairs", [*ids, (1, "b")])[0].tolist() == [[0.5], [0.25], [0]]


def test_rows_of_another_schema_are_read_in_one_more_command_once(
    repo: Repo, columns: ColumnStore, redis_client: Any
) -> None:
    columns.write("activity", ["u1"], np.ones((1, 2), np.float32), {"n": [5]}, stamp(1))
    repo.view("activity", {"b": Float32, "new": Float32, "n": Int64})
    repo.apply()
    later = columns_of(repo.store, clock=lambda: NOON_MS)
    redis_client.config_resetstat()
    for _ in range(3):
        values_NF, present_NF, _ = later.read_arrays("activity", ["u1", "u2"])
        assert values_NF.tolist() == [[1, 0], [0, 0]]
        assert present_NF.tolist() == [[True, False], [False, False]]
    calls = redis_client.info("commandstats")
    assert calls["cmdstat_mget"]["calls"] == 3 and calls["cmdstat_hvals"]["calls"] == 1


def test_what_does_not_fit_is_named(repo: Repo, columns: ColumnStore, new_repo: Any) -> None:
    one = np.ones((1, 2), np.float32)
    with pytest.raises(FeatureError, match=r"no feature view 'typo', there are \['activity'"):
        columns.read_arrays("typo", ["u1"])
    with pytest.raises(FeatureError, match="no feature 'typo', it has a, state"):
        columns.read([("activity", ["u1"])])[0].values("typo")
    with pytest.raises(FeatureError, match=r"'typo' is not one .* \['state', 'n', 'seen'\]"):
        columns.write("activity", ["u1"], one, {"typo": [1]}, stamp(1))
    with pytest.raises(FeatureError, match=r"shape \(1, 3\) .* 2 float32 features"):
        columns.write("activity", ["u1"], np.ones((1, 3), np.float32), {}, stamp(1))
    with pytest.raises(FeatureError, match="'n' is given as float64, expected INT64"):
        columns.write("activity", ["u1"], one, {"n": [0.5]}, stamp(1))
    with pytest.raises(FeatureError, match="'state' of row 0 is 'text'.* expected BYTES"):
        columns.write("activity", ["u1"], one, {"state": ["text"]}, stamp(1))
    with pytest.raises(FeatureError, match="2 ids for 1 rows"):
        columns.write("activity", ["u1", "u2"], one, {}, stamp(1))
    with pytest.raises(FeatureError, match="'n' has 2 values for 1 rows"):
        columns.write("activity", ["u1"], one, {"n": [1, 2]}, stamp(1))
    assert not columns.read_arrays("activity", ["u1"])[1].any()
    with pytest.raises(FeatureError, match="RedisOnlineStore, expected PackedRedisOnlineStore"):
        columns_of(new_repo(STOCK_REDIS).store)
