"""Sketches of seen items: hundreds of items a user in 4 kB, with few mistakes, bounded in Redis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from headrace.features.store.columns import ColumnStore, Expiry
from headrace.features.store.last_items import list_key
from headrace.features.store.seen_sketch import (
    DAY_MS,
    FINGERPRINT,
    MOST,
    USER_SEEN,
    days_of,
    decode_sketch,
    encode_sketch,
)
from headrace.keys import key
from headrace.services.redis import start_redis

KEYS = np.array([key(f"i{n}") for n in range(20_000)])


def sketch(keys: np.ndarray, days: np.ndarray) -> bytes:
    return encode_sketch(keys, days * DAY_MS + 5_000)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), max_size=60))
def test_the_last_day_of_each_item_is_told(seen: list[tuple[int, int]]) -> None:
    places, days = np.array(seen, np.int64).reshape(-1, 2).T
    found = days_of(decode_sketch(sketch(KEYS[places], days)), KEYS[:41])
    last = {place: day for place, day in seen}
    assert found.tolist() == [last.get(place, -1) for place in range(41)]


def test_few_items_are_taken_for_seen_ones() -> None:
    full = decode_sketch(sketch(KEYS[: 2 * MOST], np.ones(2 * MOST, np.int64)))
    assert (days_of(full, KEYS[: 2 * MOST]) == 1).all()
    assert (days_of(full, KEYS[2 * MOST :]) >= 0).mean() < 0.02
    assert (
        decode_sketch(None).size == 0
        and days_of(decode_sketch(None), KEYS[:3]).tolist() == [-1] * 3
    )
    with pytest.raises(ValueError):
        decode_sketch(b"abc")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield Redis.from_url(server.url)


@pytest.mark.services
def test_in_redis_a_sketch_is_bounded_and_junk_is_replaced(client: Redis) -> None:
    store = ColumnStore(client, {})
    name, junk, unknown = (list_key("shop", USER_SEEN, user) for user in ("ann", "bob", "unknown"))
    client.hset(junk, "a", "b")
    for start in range(0, 3_000, 100):
        payload = sketch(KEYS[start : start + 100], np.full(100, start // 100))
        expiry = Expiry(np.array([False, False, True]), 1_000)
        store.add_to_lists(USER_SEEN, [name, junk, unknown], [payload] * 3, expiry)
    for one in (name, junk, unknown):
        payload = client.get(one)
        assert isinstance(payload, bytes)
        assert MOST <= len(payload) // FINGERPRINT.itemsize <= 2 * MOST
        found = days_of(decode_sketch(payload), KEYS[:3_000])
        wanted = np.arange(3_000)[-MOST:] // 100
        assert (found[-MOST:] >= wanted).all()  # a later item may have an earlier one's fingerprint
        assert (found[-MOST:] == wanted).mean() > 0.95
    assert client.ttl(name) == -1 and 0 < client.ttl(unknown) <= 1_000
