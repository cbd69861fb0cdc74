"""What a user was shown goes from the log to the list that replicas read, and only if it is asked.

A step in memory; then a real worker on a real broker and Redis, and the stage of a replica.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from one_partition import START_MS, Stream, click, known, opened
from redis import Redis
from stream_servers import materialize, shop, started

from headrace import config
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.clock import now_ms
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown, encode
from headrace.features.online.store import OnlineStore
from headrace.features.store.last_items import USER_SHOWN, decode_items
from headrace.features.store.seen_sketch import days_of, decode_sketch
from headrace.features.table import ITEM_LAYOUT
from headrace.keys import key
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.filters.seen import Seen, lists_of
from headrace.positions.store import CommitStore
from headrace.settings.seen import seen_policy
from headrace.skipped import Skipped
from headrace.stream.step.partition import Effects
from headrace.stream.worker import Worker
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.context import ReplicaContext
from serving.stages.hydrate import Hydrate

ITEMS = tuple(Item(f"i{n}") for n in range(5))
CATALOGUE = table_of(ITEMS)


def shown_in(effects: Effects) -> dict[str, list[tuple[int, int]]]:
    """Items' keys and seconds since the start, by user, for the front of his list."""
    (seen,) = effects.changed.seen or [None]
    if seen is None:
        return {}
    assert seen.name == USER_SHOWN and not seen.expires_U.any()
    entries = {
        user: decode_items(one) for user, one in zip(seen.user_ids, seen.payloads, strict=True)
    }
    return {
        user: [(item, time_s - START_MS // 1_000) for item, time_s in each.tolist()]
        for user, each in entries.items()
    }


def test_impressions_whose_outcome_is_open_go_to_the_front_of_their_users_lists() -> None:
    effects = Stream().send(
        opened("r1", "i0", "i1"),
        opened("r2", "i2", user="bob", at_ms=1_000),
        opened("r3", "i3", at_ms=2_000),
        at_ms=2_000,
    )
    assert shown_in(effects) == {
        "ann": [(key("i3"), 2), (key("i1"), 0), (key("i0"), 0)],
        "bob": [(key("i2"), 1)],
    }


def test_everything_that_is_shown_goes_to_the_end_of_its_users_sketch() -> None:
    stream = Stream()
    first = stream.send(opened("r1", "i0", "i1"), known("r2", [True, False]), click("i4"))
    told = first.changed.sketched
    assert told is not None and told.user_ids == ["ann"]
    days = days_of(decode_sketch(told.payloads[0]), np.array([key(f"i{n}") for n in range(5)]))
    assert (days >= 0).tolist() == [True, True, False, False, True]
    later = stream.send(opened("r3", "i3", user="bob"), opened("r4", "i2", "i3"))
    told = later.changed.sketched
    assert told is not None and dict(zip(told.user_ids, map(len, told.payloads), strict=True)) == {
        "ann": 8,
        "bob": 4,
    }
    nothing = stream.send(click("i2", "r4")).changed.sketched
    assert nothing is None or nothing.user_ids == []


def test_what_is_in_the_history_is_in_no_list() -> None:
    """A replayed impression, which says what came of it, and what users do."""
    stream = Stream()
    assert shown_in(stream.send(known("r1", [True, False]), click("i4"))) == {}
    assert shown_in(stream.send(opened("r2", "i2"))) == {"ann": [(key("i2"), 0)]}
    assert shown_in(stream.send(click("i2", "r2"))) == shown_in(stream.close()) == {}


def test_an_event_that_comes_twice_is_in_the_list_once() -> None:
    stream, event = Stream(), opened("r1", "i0")
    assert shown_in(stream.send(event, event)) == {"ann": [(key("i0"), 0)]}
    assert shown_in(stream.send(event)) == {}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    with started(tmp_path_factory.mktemp("seen"), num_partitions=1) as settings:
        yield settings


def work(settings: config.Settings, *events: Event) -> None:
    """A worker until it has processed these events of a new namespace."""
    materialize(settings, shop(ITEMS, ()))
    writer = LogWriter(settings)
    for event in events:
        writer.send(Topics(settings.namespace).events, encode(event), event.user_id.encode())
    writer.flush()
    writer.close()
    commits = CommitStore(Redis.from_url(settings.redis_url), settings.namespace)

    def done() -> bool:
        return sum(commit.offset for commit in commits.read_all().values()) == len(events)

    Worker(settings, [0], now_ms).run(done)


def left_for(settings: config.Settings, user_id: str, skipped: Skipped) -> list[str]:
    """The items that a replica of these settings would rank for a user."""
    policy = seen_policy(settings.serving.seen)
    rows = CATALOGUE.rows()
    context = ReplicaContext(
        user_id=user_id,
        now_ms=now_ms(),
        catalogue=CATALOGUE,
        snapshot=Snapshot((), StatePages(ITEM_LAYOUT, 1).states, rows),
        num_items=1,
        candidates=Candidates.of("trending", rows),
    )
    Hydrate(OnlineStore(settings, skipped), lists=lists_of(policy))(context)
    context.candidates.keep(Seen(policy, 500).keep(context), "seen")
    return [item.item_id for item in CATALOGUE.items(context.candidates.row_C)]


@pytest.mark.services
@pytest.mark.parametrize(
    ("policy", "ann", "bob"),
    [
        ("never_again", ["i3", "i4"], ["i0", "i2", "i3", "i4"]),
        ("after:1h", ["i2", "i3", "i4"], ["i0", "i1", "i2", "i3", "i4"]),
        ("always", ["i0", "i1", "i2", "i3", "i4"], ["i0", "i1", "i2", "i3", "i4"]),
    ],
)
def test_a_replica_leaves_out_what_the_stream_saw_as_the_policy_says(
    servers: config.Settings, policy: str, ann: list[str], bob: list[str]
) -> None:
    namespace = f"seen_{policy.replace(':', '_')}"
    settings = config.changed(servers, namespace=namespace, seen=policy)
    minute_ago, day_ago = now_ms() - 60_000, now_ms() - 86_400_000
    work(
        settings,
        ImpressionEvent("e1", day_ago, "ann", "r1", (Shown("i2"),)),
        ImpressionEvent("e2", day_ago, "bob", "r2", (Shown("i1", clicked=False),)),
        ImpressionEvent("e3", minute_ago, "ann", "r3", (Shown("i0"), Shown("i1"))),
        ClickEvent("e4", minute_ago, "ann", "i1", "r3"),
    )
    skipped = Skipped()
    assert left_for(settings, "ann", skipped) == ann
    assert left_for(settings, "bob", skipped) == bob
    with Redis.from_url(settings.redis_url) as redis:
        lists = list(redis.scan_iter(f"{namespace}/{USER_SHOWN}/*"))
        of_ann = f"{namespace}/{USER_SHOWN}/user_id=ann".encode()
        assert lists == ([] if policy == "always" else [of_ann])
        for name in lists:
            redis.set(name, b"junk")
    left_for(settings, "ann", skipped)
    assert skipped.total() == len(lists)
