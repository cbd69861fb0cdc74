"""A whole catalogue, told to the topics: its items and users that are new or other, and who left.

The file of the items that is written then says how far the topic is in it, so that whoever starts
with the file need not read it all again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

from headrace import config
from headrace.broker.log_sender import Message
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import read_users, write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.catalogue.place import Place
from headrace.catalogue.table.table import ItemTable
from headrace.config import Settings
from headrace.documents.document import ITEM, USER, UserDocument, attributes_of
from headrace.documents.followed import FollowedItems, begun, end_of_log
from headrace.documents.items import document_of, item_of
from headrace.documents.messages import removal, whole_message
from headrace.errors import DatasetError
from headrace.skipped import Skipped


@dataclass(frozen=True, slots=True)
class Fed:
    """How many items and users were told of, and how many that they are gone."""

    put: int
    removed: int


@dataclass(slots=True)
class _Sent:
    """Messages sent, and the removals among them."""

    num_sent: int = 0
    num_removed: int = 0

    @property
    def num_put(self) -> int:
        """The others."""
        return self.num_sent - self.num_removed


def publish_catalogue(settings: Settings, dataset: Dataset, as_of_ms: int) -> Fed:
    """Write a catalogue that replaces the one before, and tell the topics how it differs.

    What others tell of items meanwhile comes after it.
    """
    create_topics(settings)
    topics, folder = Topics(settings.namespace), config.catalogue_path(settings)
    dataset = replace(dataset, items=tuple(item_of(document_of(item)) for item in dataset.items))
    table, place = _present(settings, as_of_ms)
    with closing(LogWriter(settings)) as writer:
        items = _send(writer, topics.items, _items(settings, dataset.items, table))
        users = _send(writer, topics.users, _users(settings, dataset.users))
    after = {0: place.offsets[0] + items.num_sent}
    if end_of_log(settings, topics.items) != after[0]:  # somebody else wrote meanwhile
        after = dict(place.offsets)
    write_catalogue(dataset, folder, as_of_ms, Place(after, log=place.log))
    return Fed(items.num_put + users.num_put, items.num_removed + users.num_removed)


def _present(settings: Settings, now_ms: int) -> tuple[ItemTable, Place]:
    """The items as they are, and the topic's place; no items where nothing tells of any."""
    try:
        followed = FollowedItems(settings, Skipped(), lambda: now_ms)
    except DatasetError:
        place = begun(settings, Topics(settings.namespace).items, Place())
        return ItemTable(), place
    with closing(followed):
        followed.read_to_end()
        return followed.table, followed.place


def _items(settings: Settings, items: Iterable[Item], table: ItemTable) -> Iterator[Message]:
    ids = set[str]()
    is_new = not end_of_log(settings, Topics(settings.namespace).items)
    for item in items:
        ids.add(item.item_id)
        if is_new or table.get(item.item_id) != item:
            yield whole_message(ITEM, document_of(item))
    yield from (removal(id_) for id_ in table.ids() if id_ not in ids)


def _users(settings: Settings, users: Iterable[User]) -> Iterator[Message]:
    try:
        before: Mapping[str, User] = read_users(config.catalogue_path(settings))
    except DatasetError:
        before = {}
    is_new = not end_of_log(settings, Topics(settings.namespace).users)
    ids = set[str]()
    for user in users:
        ids.add(user.user_id)
        if is_new or before.get(user.user_id) != user:
            document = UserDocument(user.user_id, attributes_of(user.attributes))
            yield whole_message(USER, document)
    yield from (removal(id_) for id_ in before if id_ not in ids)


def _send(writer: LogWriter, topic: str, messages: Iterable[Message]) -> _Sent:
    """Send, and wait until the broker has all."""
    done = _Sent()
    for key, value, _ in messages:
        writer.send(topic, value, key)
        done.num_sent += 1
        done.num_removed += value is None
    writer.flush()
    return done
