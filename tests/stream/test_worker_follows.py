"""A real worker on a real broker and Redis: it follows items and users, a restart goes on there."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from stream_servers import shop, started

from headrace import config
from headrace.broker.log_sender import Message
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import read_items
from headrace.catalogue.item import Content, Dataset, Item, User
from headrace.catalogue.table.shared import open_catalogue
from headrace.clock import now_ms
from headrace.documents.document import ITEM, USER, accept_part, accept_whole
from headrace.documents.exchange import export_file
from headrace.documents.feed import publish_catalogue
from headrace.documents.messages import part_message, removal, whole_message
from headrace.features.online.store import OnlineStore
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

ITEMS = (Item("mug", "A mug", ("kitchen",)), Item("pen", "A pen"))
USERS = (User("ann", ("age=30",)), User("bob", ("age=40",)))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    folder = tmp_path_factory.mktemp("follows")
    with started(folder, shop((), ()), num_partitions=2, namespace="follows") as settings:
        publish_catalogue(settings, shop(ITEMS, USERS), now_ms())
        yield settings


def send(settings: config.Settings, topic: str, messages: Sequence[Message]) -> None:
    with closing(LogWriter(settings)) as writer:
        for message in messages:
            writer.send(topic, message.value, message.key)
        writer.flush()


def work_until(settings: config.Settings, done: Callable[[Worker], bool]) -> None:
    """A worker of all partitions until it is done, and its end."""
    worker, deadline_s = Worker(settings, (0, 1), now_ms), time.monotonic() + 30

    def should_stop() -> bool:
        assert time.monotonic() < deadline_s
        return done(worker)

    worker.run(should_stop)


def attributes(settings: config.Settings, *user_ids: str) -> list[tuple[str, ...] | None]:
    found = OnlineStore(settings).read_users(user_ids)
    pairs = zip(found.attributes, found.unknown, strict=True)
    return [None if unknown else words for words, unknown in pairs]


def test_a_catalogue_is_told_to_the_topics_and_in_the_store_by_a_worker(
    settings: config.Settings,
) -> None:
    work_until(settings, lambda _: None not in attributes(settings, "ann", "bob"))
    assert attributes(settings, "ann", "bob", "eve") == [("age=30",), ("age=40",), None]


def test_users_change_in_part_and_go(settings: config.Settings) -> None:
    topic = Topics(settings.namespace).users
    changed = {"user_id": "ann", "attributes": {"age": 31, "likes": ["a", "b"]}}
    told = [
        part_message(USER, accept_part(USER, changed)),
        removal("bob"),
        whole_message(USER, accept_whole(USER, {"user_id": "eve"})),
        Message(b"ann", b"junk"),
    ]
    send(settings, topic, told)
    work_until(settings, lambda _: attributes(settings, "bob", "eve") == [None, ()])
    assert attributes(settings, "ann") == [("age=31", "likes=a", "likes=b")]


def test_items_that_went_stay_away_after_a_restart(settings: config.Settings) -> None:
    topic, folder = Topics(settings.namespace).items, config.catalogue_path(settings)
    jug = whole_message(ITEM, accept_whole(ITEM, {"item_id": "jug", "stock": 3}))
    send(settings, topic, [jug, removal("pen")])
    work_until(settings, lambda _: OnlineStore(settings).read_rows is not None)
    table, place = open_catalogue(folder, settings.namespace)  # what a restart begins with
    assert set(table.ids()) == {"mug", "jug"} and place.offsets == {0: 4}
    assert set(read_items(folder)) == {"mug", "pen"}  # the file is what was materialized


def test_the_next_catalogue_takes_away_what_it_does_not_have(settings: config.Settings) -> None:
    new = replace(ITEMS[0], title="Another mug", price_micros=5)
    fed = publish_catalogue(settings, shop((new, Item("cup")), USERS), now_ms())
    assert (fed.put, fed.removed) == (2, 1)  # the jug, which came by itself, goes
    again = publish_catalogue(settings, shop((new, Item("cup")), USERS), now_ms())
    assert (again.put, again.removed) == (0, 0)
    table, place = open_catalogue(config.catalogue_path(settings), settings.namespace)
    assert list(table) == [new, Item("cup")] and place.offsets == {0: 7}


def test_descriptions_and_vectors_are_told_for_whoever_encodes(
    settings: config.Settings, tmp_path: Path
) -> None:
    def described(text: str) -> Dataset:
        contents = (Content("mug", text, (1.0, 2.0)), Content("cup", None, (math.nan,)))
        return replace(shop((ITEMS[0], Item("cup")), USERS), contents=lambda: iter(contents))

    first = publish_catalogue(settings, described("Holds tea."), now_ms())
    assert (first.put, publish_catalogue(settings, described("Holds tea."), now_ms()).put) == (1, 0)
    assert publish_catalogue(settings, described("Holds coffee."), now_ms()).put == 1
    export_file(settings, "items", str(tmp_path / "items.jsonl"))
    mug, cup = map(json.loads, (tmp_path / "items.jsonl").read_text().splitlines())
    assert (mug["description"], mug["vector"]) == ("Holds coffee.", [1, 2])
    assert cup == {"item_id": "cup"}
