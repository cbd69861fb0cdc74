"""A process that follows the items' topic behind a snapshot, on the embedded broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from headrace import config
from headrace.broker.topics import REMOVALS_KEPT_H, Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import read_place, write_catalogue
from headrace.catalogue.item import Dataset, Item
from headrace.catalogue.place import Place
from headrace.documents.document import ITEM, ItemDocument
from headrace.documents.feed import publish_catalogue
from headrace.documents.followed import FollowedItems
from headrace.documents.messages import removal, whole_message
from headrace.services.kafka import start_broker
from headrace.skipped import Skipped

pytestmark = pytest.mark.services

NOW_MS = 1_714_554_000_000
MUG, PEN = Item("mug"), Item("pen")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    folder = tmp_path_factory.mktemp("followed")
    with start_broker(folder / "kafka", {}) as broker:
        yield config.settings(namespace="followed", home=folder, kafka_bootstrap=broker.bootstrap)


def shop(*items: Item) -> Dataset:
    return Dataset("shop", items, (), lambda: iter(()), 0, 0, 0)


def followed(settings: config.Settings, days: float = 0) -> tuple[set[str], Place]:
    """The items of a process that starts so many days later, and how far it has followed."""
    now_ms = NOW_MS + round(86_400_000 * days)
    with closing(FollowedItems(settings, Skipped(), lambda: now_ms)) as items:
        items.read_to_end()
        return set(items.table.ids()), items.place


def test_it_goes_on_behind_the_file_and_from_the_beginning_where_that_is_of_another_log(
    settings: config.Settings,
) -> None:
    publish_catalogue(settings, shop(MUG, PEN), NOW_MS)
    told = read_place(config.catalogue_path(settings))
    assert followed(settings) == (
        {"mug", "pen"},
        replace(told, source=followed(settings)[1].source),
    )
    with closing(LogWriter(settings)) as writer:
        for message in (whole_message(ITEM, ItemDocument("jug")), removal("pen")):
            writer.send(Topics(settings.namespace).items, message.value, message.key)
        writer.flush()
    ids, place = followed(settings)
    assert (ids, place.offsets) == ({"mug", "jug"}, {0: 4})
    for of_another in (replace(told, log="x"), replace(told, offsets={0: 99}), Place()):
        write_catalogue(shop(PEN), config.catalogue_path(settings), NOW_MS, of_another)
        assert followed(settings)[0] == {"mug", "jug"}


def test_who_left_stays_away_also_when_the_topic_has_lost_the_removal(
    settings: config.Settings,
) -> None:
    place = replace(followed(settings)[1], offsets={0: 4}, as_of_ms=NOW_MS)
    write_catalogue(shop(MUG, Item("gone")), config.catalogue_path(settings), NOW_MS, place)
    assert followed(settings, days=1)[0] == {"mug", "gone"}
    assert followed(settings, days=REMOVALS_KEPT_H / 24)[0] == {"mug", "jug"}
