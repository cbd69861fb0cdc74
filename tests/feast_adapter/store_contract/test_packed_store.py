"""What the packed store promises beyond Feast's own: ttl, schemas, errors, and one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from backends import NOON, PACKED, Repo, shop, user
from feast import FeatureService
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float32, Int64, String

from headrace.errors import FeatureError, StoreUnavailable
from headrace.services.redis import start_redis

NOON_MS = int(NOON.timestamp() * 1_000)
HOUR_MS = 3_600_000


def online(repo: Repo) -> Any:
    return repo.store._get_provider().online_store


def commands(client: Any) -> dict[str, int]:
    """How often each command was called since the server's counts began."""
    calls = {name: stats["calls"] for name, stats in client.info("commandstats").items()}
    return {name.removeprefix("cmdstat_"): number for name, number in calls.items()}


@pytest.fixture
def some(packed: Repo) -> Repo:
    """A view of a user with an hour's ttl."""
    packed.view("some", {"x": Int64, "rate": Float32}, ttl=timedelta(hours=1))
    packed.apply()
    return packed


def test_a_row_older_than_its_views_ttl_is_outside_its_age_and_has_no_value(some: Repo) -> None:
    some.write("some", user_id=["a"], x=[1], rate=[0.5])
    online(some).clock = lambda: NOON_MS + HOUR_MS
    assert some.read(["some:x"], user_id=["a"])["x"] == [1]
    online(some).clock = lambda: NOON_MS + HOUR_MS + 1
    assert some.read(["some:x", "some:rate"], user_id=["a"]) == {
        "user_id": ["a"],
        "x": [None],
        "rate": [None],
    }
    outside, absent = FieldStatus.OUTSIDE_MAX_AGE, FieldStatus.NOT_FOUND
    assert some.statuses(["some:x"], user_id=["a", "b"]) == [[outside, absent]]


def test_a_ttl_of_zero_never_ends(packed: Repo) -> None:
    packed.view("some", {"x": Int64})
    packed.apply()
    packed.write("some", user_id=["a"], x=[1])
    online(packed).clock = lambda: NOON_MS + 10**12
    assert packed.read(["some:x"], user_id=["a"])["x"] == [1]


def test_all_views_of_a_request_are_read_in_one_command(packed: Repo, redis_client: Any) -> None:
    packed.view("users", {"x": Int64})
    packed.view("shops", {"y": Int64}, entities=[shop])
    packed.view("pairs", {"z": Int64}, entities=[user, shop])
    packed.apply()
    packed.write("pairs", user_id=["a"], shop_id=[1], z=[3])
    redis_client.config_resetstat()
    answer = packed.read(["users:x", "shops:y", "pairs:z"], user_id=["a", "b"], shop_id=[1, 2])
    assert answer["z"] == [3, None]
    assert commands(redis_client)["mget"] == 1
    assert commands(redis_client).keys() <= {"mget", "config|resetstat", "config", "client", "info"}


def test_a_batch_is_compared_and_set_in_one_pipeline(some: Repo, redis_client: Any) -> None:
    redis_client.config_resetstat()
    some.write("some", user_id=[str(n) for n in range(1_200)], x=[1] * 1_200, rate=[0.5] * 1_200)
    counts = commands(redis_client)
    assert counts["eval"] == 12 + 1 and counts["hsetnx"] == 1 and counts["set"] == 1_200


def test_a_key_is_a_path_and_its_view_describes_the_schema(some: Repo, redis_client: Any) -> None:
    some.write("some", user_id=["a"], x=[1], rate=[0.5])
    view = f"{some.project}/some"
    assert sorted(redis_client.keys()) == [view.encode(), f"{view}/user_id=a".encode()]
    (descriptor,) = redis_client.hvals(view)
    assert descriptor == b'["packed-1",[["x","INT64"],["rate","FLOAT"]]]'


def test_a_view_whose_schemas_are_none_is_described_anew_with_its_next_row(
    some: Repo, redis_client: Any
) -> None:
    online(some).clock = lambda: NOON_MS
    some.write("some", user_id=["a"], x=[1], rate=[0.5])
    (described,) = (key for key in redis_client.keys() if redis_client.type(key) == b"hash")
    redis_client.set(described, b"junk")
    some.write("some", user_id=["b"], x=[2], rate=[0.5])
    assert some.read(["some:x"], user_id=["a", "b"])["x"] == [1, 2]


def test_keys_expire_where_the_configuration_says_so(
    new_repo: Callable[..., Repo], redis_client: Any
) -> None:
    for skip_dedup in (False, True):
        repo = new_repo(PACKED, key_ttl_seconds=100, skip_dedup=skip_dedup)
        repo.view("some", {"x": Int64})
        repo.apply()
        repo.write("some", user_id=["a"], x=[1])
        assert 0 < redis_client.ttl(f"{repo.project}/some/user_id=a") <= 100


def test_a_service_that_asks_for_vectors_is_told_that_it_needs_none(some: Repo) -> None:
    service = FeatureService(name="fast", features=[some.views["some"]], precompute_online=True)
    some.store.apply([service])
    with pytest.raises(FeatureError, match="'fast' has precompute_online.*apply it without"):
        some.store.get_online_features(features=service, entity_rows=[{"user_id": "a"}])


def test_each_event_loop_has_connections_of_its_own(some: Repo) -> None:
    some.write("some", user_id=["a"], x=[1], rate=[0.5])
    online(some).clock = lambda: NOON_MS

    async def read() -> Any:
        answer = await some.store.get_online_features_async(
            features=["some:x"], entity_rows=[{"user_id": "a"}]
        )
        await some.close()
        return answer.to_dict()["x"]

    assert [asyncio.run(read()) for _ in range(3)] == [[1]] * 3


def test_a_reader_of_the_old_definition_reads_rows_of_the_new_one(
    new_repo: Callable[..., Repo], packed: Repo
) -> None:
    packed.view("some", {"x": Int64, "old": Float32})
    packed.apply()
    packed.write("some", user_id=["a"], x=[1], old=[0.5])
    reader = online(packed)
    before = packed.store.get_feature_view("some")
    packed.view("some", {"new": String, "x": Int64})
    packed.apply()
    packed.write("some", user_id=["b"], x=[2], new=["here"])
    keys = [EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=u)]) for u in "ab"]
    rows = reader.online_read(packed.store.config, before, keys, ["x", "old"])
    assert [values["x"].int64_val for _, values in rows] == [1, 2]
    assert rows[0][1]["old"].float_val == 0.5 and "old" not in rows[1][1]


def write_value(repo: Repo, features: dict[str, Value]) -> None:
    key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val="a")])
    view = repo.store.get_feature_view("some")
    online(repo).online_write_batch(repo.store.config, view, [(key, features, NOON, None)], None)


def test_a_value_of_another_type_is_refused_and_nothing_is_written(some: Repo) -> None:
    with pytest.raises(FeatureError, match="'x' has a double_val, expected a int64_val"):
        write_value(some, {"x": Value(double_val=0.5), "rate": Value(float_val=0.5)})
    with pytest.raises(FeatureError, match=r"\['y'\], the view has \['x', 'rate'\]"):
        write_value(some, {"y": Value(int64_val=1)})
    assert some.read(["some:x", "some:rate"], user_id=["a"])["rate"] == [None]


@pytest.fixture
def small_server(tmp_path: Path) -> Iterator[Any]:
    with start_redis(tmp_path) as server:
        yield server


def test_a_full_redis_is_named_and_the_rows_that_were_there_stay(
    small_server: Any, new_repo: Callable[..., Repo]
) -> None:
    address = f"127.0.0.1:{small_server.port},username=admin,password={small_server.admin_password}"
    for skip_dedup in (False, True):
        repo = new_repo(PACKED, connection_string=address, skip_dedup=skip_dedup)
        repo.view("some", {"text": String})
        repo.apply()
        repo.write("some", user_id=["a"], text=["here"])
        client = online(repo)._get_client(repo.store.config.online_store)
        client.config_set("maxmemory", "1mb")
        later = {"event_timestamp": [NOON + timedelta(1)] * 2}
        with pytest.raises(StoreUnavailable, match="maxmemory.*key_ttl_seconds"):
            repo.write("some", user_id=["a", "b"], text=["x" * 10**6] * 2, **later)
        assert repo.read(["some:text"], user_id=["a"])["text"] == ["here"]
        client.config_set("maxmemory", "0")


@pytest.mark.usefixtures("no_pauses")
def test_users_and_passwords_are_those_of_the_connection_string(
    small_server: Any, new_repo: Callable[..., Repo]
) -> None:
    address = f"127.0.0.1:{small_server.port}"
    with redis.Redis.from_url(small_server.admin_url) as admin:
        admin.acl_setuser("feast", True, passwords=["+secret"], keys="*", categories=["+@all"])
        admin.config_set("requirepass", "other")
    repo = new_repo(PACKED, connection_string=f"{address},username=feast,password=secret")
    repo.view("some", {"x": Int64})
    repo.apply()
    repo.write("some", user_id=["a"], x=[1])
    assert repo.read(["some:x"], user_id=["a"])["x"] == [1]
    stranger = new_repo(PACKED, connection_string=address)
    stranger.view("some", {"x": Int64})
    with pytest.raises(StoreUnavailable, match="Authentication required"):
        stranger.apply()
        stranger.read(["some:x"], user_id=["a"])


def test_tls_is_asked_for_in_the_connection_string(new_repo: Callable[..., Repo]) -> None:
    repo = new_repo(PACKED, connection_string="127.0.0.1:6379,ssl=true,ssl_ca_certs=ca.pem")
    pool = online(repo)._get_client(repo.store.config.online_store).connection_pool
    assert pool.connection_class is redis.SSLConnection
    assert pool.connection_kwargs["ssl_ca_certs"] == "ca.pem"


@pytest.mark.usefixtures("no_pauses")
def test_a_redis_that_is_down_is_named(small_server: Any, new_repo: Callable[..., Repo]) -> None:
    address = small_server.url  # Redis's own form of an address
    repo = new_repo(PACKED, connection_string=address)
    repo.view("some", {"x": Int64})
    repo.apply()
    small_server.stop()
    with pytest.raises(StoreUnavailable, match=r"not read: no Redis answers .*REDIS_URL"):
        repo.read(["some:x"], user_id=["a"])
    with pytest.raises(StoreUnavailable, match="not written: no Redis answers"):
        repo.write("some", user_id=["a"], x=[1])
