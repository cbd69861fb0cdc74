"""The status board: what each instance of a part last said, found without a search."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis as redis_client

from headrace.monitoring.status import KEEP_S, StatusBoard
from headrace.services.redis import RedisServer, start_redis

pytestmark = pytest.mark.services

NOW_MS = 1_714_554_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(server.admin_url) as client:
        client.flushdb()
        yield client


def test_an_instance_replaces_its_own_document_and_no_other(redis: redis_client.Redis) -> None:
    one, other = StatusBoard(redis, "it"), StatusBoard(redis, "it")
    one.write("stream", {"lag": 5}, NOW_MS)
    other.write("stream", {"lag": 7}, NOW_MS)
    one.write("stream", {"lag": 0}, NOW_MS + 1)
    documents = StatusBoard(redis, "it").read("stream")
    assert sorted((d["lag"], d["updated_ms"]) for d in documents) == [(0, NOW_MS + 1), (7, NOW_MS)]


def test_parts_and_namespaces_do_not_see_each_other(redis: redis_client.Redis) -> None:
    StatusBoard(redis, "it").write("stream", {}, NOW_MS)
    assert StatusBoard(redis, "it").read("train") == []
    assert StatusBoard(redis, "it2").read("stream") == []


def test_a_document_that_has_disappeared_is_forgotten(redis: redis_client.Redis) -> None:
    gone, here = StatusBoard(redis, "it"), StatusBoard(redis, "it")
    gone.write("stream", {"name": "gone"}, NOW_MS)
    here.write("stream", {"name": "here"}, NOW_MS)
    (key,) = [k for k in redis.scan_iter("it:status:stream:*") if b"gone" in redis.get(k)]
    assert 0 < redis.ttl(key) <= KEEP_S
    redis.delete(key)
    assert [document["name"] for document in here.read("stream")] == ["here"]
    assert redis.scard("it:status:stream") == 1
