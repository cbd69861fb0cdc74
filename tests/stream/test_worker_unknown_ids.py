"""A real worker on a real broker and Redis: what is in no catalogue ends in both of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from redis import Redis
from stream_servers import shop, started

from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Item, User
from headrace.clock import now_ms
from headrace.event import ImpressionEvent, Shown, encode
from headrace.features.online.store import OnlineStore
from headrace.features.rows.bounds import NOTHING, Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import ITEM_LAYOUT, LIFE, USER_LAYOUT
from headrace.positions.store import CommitStore
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

ITEMS, USERS = (Item("mug"), Item("pen")), (User("ann", ("age=3",)),)
SHARE, TTL_S, NUM_REQUESTS, NUM_STRANGERS = 60, 2.0, 40, 50


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    """Servers, and a catalogue."""
    given = {"num_partitions": 2, "max_unknown_items": SHARE, "unknown_item_ttl_s": TTL_S}
    given |= {"namespace": "unknown", "unknown_user_ttl_s": 1_000.0}
    with started(tmp_path_factory.mktemp("unknown"), shop(ITEMS, USERS), **given) as settings:
        yield settings


def send(settings: config.Settings) -> None:
    """Requests that show the mug, and items that nobody has seen; every other one is Ann's."""
    writer = LogWriter(settings)
    for number in range(NUM_REQUESTS):
        user = "ann" if number % 2 else f"stranger-{number}"
        items = ("mug", *(f"x{number}-{n}" for n in range(NUM_STRANGERS)))
        shown = tuple(Shown(item_id, n, False) for n, item_id in enumerate(items))
        event = ImpressionEvent(f"e{number}", now_ms(), user, f"r{number}", shown)
        writer.send(Topics(settings.namespace).events, encode(event), user.encode())
    writer.flush()
    writer.close()


def run(settings: config.Settings, until_ms: int = 0) -> None:
    """A worker until all is processed, and this time has come."""
    commits = CommitStore(Redis.from_url(settings.redis_url), settings.namespace)

    def done() -> bool:
        processed = sum(commit.offset for commit in commits.read_all().values())
        return processed == NUM_REQUESTS and now_ms() > until_ms

    Worker(settings, [0, 1], now_ms).run(done)


def unknown_in_topic(settings: config.Settings) -> int:
    """How many items in no catalogue a reader of the topic has to keep."""
    reader = MergedState(
        {item.item_id: item for item in ITEMS}.get, bounds=Bounds(Share(10**6, 10**9), NOTHING)
    )
    log = LogReader(settings, Topics(settings.namespace).item_partials, {0: 0, 1: 0})
    for records in log.read_to_end():
        reader.apply(records)
    log.close()
    return reader.items.num_unknown


def test_unknown_items_and_users_have_a_share_of_redis_and_of_the_topic_and_end(
    settings: config.Settings,
) -> None:
    send(settings)
    run(settings)
    with Redis.from_url(settings.redis_url) as redis:

        def keys(view: str, entity: str) -> list[bytes]:
            return list(redis.scan_iter(f"*/{view}/{entity}_id=*"))

        assert 0 < unknown_in_topic(settings) <= SHARE
        assert len(keys(ITEM_LAYOUT.view, "item")) <= 1 + SHARE
        ttls_s = {key.rpartition(b"=")[2]: redis.ttl(key) for key in keys(USER_LAYOUT.view, "user")}
        assert len(ttls_s) == 1 + NUM_REQUESTS // 2 and ttls_s.pop(b"ann") == -1
        assert all(900 < ttl_s <= 1_000 for ttl_s in ttls_s.values())
        # A new worker reads what is left; when it was heard of no more for so long, it goes.
        run(settings, until_ms=now_ms() + int(2_500 * TTL_S))
        assert unknown_in_topic(settings) == 0
        time.sleep(0.1)
        assert [key.rpartition(b"=")[2] for key in keys(ITEM_LAYOUT.view, "item")] == [b"mug"]
    (row,) = OnlineStore(settings).read_rows(ITEM_LAYOUT, ["mug"])
    assert row is not None
    life = decode_rows([row], ITEM_LAYOUT)["state"][ITEM_LAYOUT.field_of[LIFE]][0]
    assert life[0] == NUM_REQUESTS
