"""The serving key of a namespace: made once, shared by all who sign and verify."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from headrace.errors import ServiceError
from headrace.event import ImpressionEvent, Served, Shown, decode, encode
from headrace.features.serving_key import ServingKey
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

NOW_MS = 1_714_554_000_000
EVENT = ImpressionEvent(
    "e", NOW_MS, "ann", "r", (Shown("a"), Shown("b")), served=Served(1, b"dense", b"history")
)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with (
        start_redis(tmp_path_factory.mktemp("key")) as server,
        Redis.from_url(server.url) as client,
    ):
        yield client


def test_what_one_replica_signs_every_worker_of_its_namespace_knows(redis: Redis) -> None:
    signed = decode(encode(ServingKey.of(redis, "shop").sign(EVENT)), NOW_MS)
    assert isinstance(signed, ImpressionEvent)
    assert ServingKey.of(redis, "shop").has_signed(signed)
    assert not ServingKey.of(redis, "other").has_signed(signed)
    assert not ServingKey.of(redis, "shop").has_signed(EVENT)


@pytest.mark.parametrize("junk", ["text", "list", "empty"])
def test_junk_in_the_place_of_the_key_is_refused_with_what_to_do(redis: Redis, junk: str) -> None:
    name = f"{junk}:serving-key"
    if junk == "list":
        redis.rpush(name, "x")
    else:
        redis.set(name, "junk" if junk == "text" else "")
    with pytest.raises(ServiceError, match=f"Redis key {name} is no serving key.*delete it"):
        ServingKey.of(redis, junk)
