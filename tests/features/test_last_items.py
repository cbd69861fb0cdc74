"""Lists of users' last items in Redis: newest first, each item once, whatever lay there before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from redis import Redis

from headrace.features.store.columns import ColumnStore, Expiry
from headrace.features.store.last_items import (
    EMPTY,
    LENGTHS,
    USER_SHOWN,
    decode_items,
    encode_items,
    list_key,
)
from headrace.services.redis import start_redis

START_MS = 1_714_554_000_000
TTL_S = 1_000

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield Redis.from_url(server.url)


@pytest.fixture
def store(client: Redis) -> ColumnStore:
    for key in client.scan_iter():
        client.delete(key)
    return ColumnStore(client, {})


def front(*items: int, at_s: int = 0) -> bytes:
    """Entries of items of the log, one a second, the first of them after `at_s` seconds."""
    times_ms = START_MS + 1_000 * (at_s + np.arange(len(items)))
    return encode_items(np.array(items, np.int64), times_ms)


def add(store: ColumnStore, payloads: dict[str, bytes], name: str = USER_SHOWN) -> None:
    expiry = Expiry(np.array([user.startswith("un") for user in payloads]), TTL_S)
    keys = [list_key("shop", name, user) for user in payloads]
    store.add_to_lists(name, keys, [*payloads.values()], expiry)


def listed(store: ColumnStore, user: str, name: str = USER_SHOWN) -> list[tuple[int, int]]:
    """Items of a list and how many seconds after the start they came."""
    _, (payload,) = store.read_beside([], [list_key("shop", name, user)])
    entries: Sequence[tuple[int, int]] = decode_items(payload).tolist()
    return [(item, time_s - START_MS // 1_000) for item, time_s in entries]


def test_new_items_come_to_the_front_and_an_item_is_there_once(store: ColumnStore) -> None:
    assert listed(store, "ann") == []
    add(store, {"ann": front(7, 8, 9)})
    assert listed(store, "ann") == [(9, 2), (8, 1), (7, 0)]
    add(store, {"ann": front(7, 2**63 - 1, 7, at_s=5), "bob": front(1)})
    assert listed(store, "ann") == [(7, 7), (2**63 - 1, 6), (9, 2), (8, 1)]
    assert listed(store, "bob") == [(1, 0)]


def test_a_step_that_is_delivered_again_changes_nothing(store: ColumnStore) -> None:
    steps = [front(1, 2, 3), front(2, 4, at_s=3), front(5, 1, at_s=5)]
    for step in steps:
        add(store, {"ann": step})
    before = listed(store, "ann")
    for step in steps[1:]:
        add(store, {"ann": step})
    assert listed(store, "ann") == before == [(1, 6), (5, 5), (4, 4), (2, 3), (3, 2)]


@pytest.mark.parametrize("name", LENGTHS)
def test_a_list_is_as_long_as_it_may_be(store: ColumnStore, name: str) -> None:
    length = LENGTHS[name]
    add(store, {"ann": front(*range(1, length + 1))}, name)
    add(store, {"ann": front(*range(length, length + 3), at_s=length)}, name)
    found = [item for item, _ in listed(store, "ann", name)]
    assert found == [length + 2, length + 1, *range(length, 2, -1)] and len(found) == length


def test_the_lists_of_users_whom_nobody_announced_expire(store: ColumnStore, client: Redis) -> None:
    add(store, {"ann": front(1), "unknown": front(2), "un": front(3)})
    ttls_s = {user: client.ttl(list_key("shop", USER_SHOWN, user)) for user in ("ann", "unknown")}
    assert ttls_s["ann"] == -1 and 0 < ttls_s["unknown"] <= TTL_S
    assert listed(store, "un") == [(3, 0)]


@pytest.mark.parametrize("junk", [b"no list", b"\0" * 13])
def test_other_bytes_are_told_apart_and_replaced(
    store: ColumnStore, client: Redis, junk: bytes
) -> None:
    client.set(list_key("shop", USER_SHOWN, "ann"), junk)
    with pytest.raises(ValueError, match="buffer size"):
        listed(store, "ann")
    add(store, {"ann": front(1)})
    assert listed(store, "ann") == [(1, 0)]


def test_another_kind_of_value_is_replaced(store: ColumnStore, client: Redis) -> None:
    client.hset(list_key("shop", USER_SHOWN, "ann"), "a", "b")
    assert listed(store, "ann") == []
    add(store, {"ann": front(1)})
    assert listed(store, "ann") == [(1, 0)]


def test_no_list_has_no_entries() -> None:
    assert decode_items(None).tolist() == decode_items(b"").tolist() == EMPTY.tolist() == []
