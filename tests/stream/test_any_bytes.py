"""Whatever lies in a topic or in a Redis key, the stream goes on and counts it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from junk import JUNK, click, counts, has_accepted, running, send, shown_of, skipped, until, user_of
from redis import Redis

from headrace import config
from headrace.broker.topics import Topics
from headrace.clock import now_ms
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.table import LAYOUTS
from headrace.positions.store import CommitStore
from headrace.stream import worker
from headrace.stream.dead_letter import Letter, read_letters
from headrace.up.display.totals import Observer

pytestmark = pytest.mark.services


def test_the_stream_counts_what_is_good_beside_junk_in_each_topic(
    servers: config.Settings,
) -> None:
    topics = Topics(servers.namespace)
    too_big = b'{"type": "click", "%s": 1}' % (b"x" * 360_000)
    send(servers, topics.events, *JUNK, too_big)
    keys = [b"item/0:7", b"item/1:7", b"category/0:Drama", b"junk", b"\xff", b"item/0:"]
    for topic in (topics.item_features, topics.item_partials):
        send(servers, topic, *[(key, value) for key in keys for value in JUNK])
    before = counts(servers)[0]
    for _ in range(2):  # the second one reads all of it again
        with running(servers):
            click(servers, "ann")
            until(partial(has_accepted, servers, before + 1), "the click counts")
            click(servers, "ann")
            until(partial(has_accepted, servers, before + 2), "the next one too")
            for topic in ("item-features", "item-partials"):
                until(lambda topic=topic: ("stream", topic) in skipped(servers), "junk is counted")
        before += 2
    assert counts(servers) == (4, len(JUNK) + 1) and shown_of(servers, "ann") == 4
    letters = list(read_letters(servers))
    assert len(letters) == len(JUNK) + 1
    (cut,) = [letter for letter in letters if letter.length == len(too_big)]
    assert cut.is_whole and cut.place == f"0:{len(JUNK)}" and len(cut.reason) < 1_100
    for letter in letters:
        assert isinstance(letter, Letter) and letter.topic == topics.events and letter.sha256


def test_a_user_whose_row_is_damaged_begins_anew_and_is_named(
    servers: config.Settings, redis_of_servers: Redis
) -> None:
    before = counts(servers)[0]
    with running(servers):
        for user in ("bob", "cid", "dan"):
            click(servers, user)
        until(lambda: counts(servers)[0] == before + 3, "all are known")
    rows = {
        u: next(redis_of_servers.scan_iter(f"*user_activity/*={u}")) for u in ("bob", "cid", "dan")
    }
    whole = redis_of_servers.get(rows["cid"])
    redis_of_servers.set(rows["bob"], b"junk")
    redis_of_servers.set(rows["cid"], whole[:60] + bytes(len(whole) - 60)[:-9])
    redis_of_servers.set(rows["dan"], whole[:40] + np.random.default_rng(1).bytes(len(whole) - 40))
    with running(servers):
        for user in ("bob", "cid", "dan", "eve"):
            click(servers, user)
        until(lambda: counts(servers)[0] == before + 7, "all count")
        until(lambda: ("stream", "user_activity rows") in skipped(servers), "they are counted")
    assert [shown_of(servers, user) for user in ("bob", "cid", "dan", "eve")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "damaged", [b"junk", b'{"offset": -1}', b'{"offset": 123456789}', b'{"low_offset": 1}', b"\xff"]
)
def test_a_damaged_commit_stops_its_partition_only_until_it_is_mended(
    servers: config.Settings,
    redis_of_servers: Redis,
    damaged: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "LOOK_EVERY_MS", 100)
    name, commits = "{junk:stream}:commits", CommitStore(redis_of_servers, "junk")
    commit, before = redis_of_servers.hget(name, "0"), commits.read_all()
    redis_of_servers.hset(name, "0", damaged)
    with running(servers, ends=True) as thread:
        click(servers, user_of(0))
        click(servers, user_of(1))
        until(lambda: commits.read_all()[1].accepted == before[1].accepted + 1, "the other goes on")
        assert redis_of_servers.hget(name, "0") == damaged
        until(lambda: ("stream", "commits") in skipped(servers), "it is named")
        told = Observer(servers).totals(now_ms()).errors
        assert any("partition 0 stands still" in text and "HDEL" in text for text in told)
        redis_of_servers.hset(name, "0", commit)
        until(lambda: not thread.is_alive(), "it begins anew where the commit was mended")
    with running(servers):
        expected = before[0].accepted + 1
        until(lambda: commits.read_all()[0].accepted == expected, "and goes on where it was")


def test_references_and_row_schemas_that_are_none_are_passed_over(
    servers: config.Settings, redis_of_servers: Redis
) -> None:
    keys = ("junk:row-schemas", f"junk:reference:{VIEW_SCHEMA:08x}")
    before = counts(servers)[0]
    for junk in (b"junk", b"\xff", bytes(10_000)):
        redis_of_servers.delete(*keys)
        redis_of_servers.hset(
            keys[1], mapping={layout.view: junk for layout in LAYOUTS} | {b"\xff": junk}
        )
        redis_of_servers.hset(keys[0], mapping={f"{VIEW_SCHEMA ^ 1:08x}": junk, b"\xff": junk})
        with running(servers):
            click(servers, "ann")
            until(partial(has_accepted, servers, before + 1), "the click counts")
            before += 1
            until(lambda: ("stream", "references") in skipped(servers), "it is counted")
    for key in keys:
        redis_of_servers.delete(key)
        redis_of_servers.set(key, "of another kind")
    with running(servers):
        click(servers, "ann")
        until(lambda: counts(servers)[0] == before + 1, "the click counts")
