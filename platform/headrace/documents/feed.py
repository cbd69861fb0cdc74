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
from headrace.documents.history import write_history
from headrace.documents.items import document_of, item_of
from headrace.documents.messages import removal, whole_message
from headrace.errors import DatasetError
from headrace.paths import documents_path
from headrace.skipped import Skipped


@dataclass(frozen=True, slots=True)
class Fed:
    """How many items and users were told of, and how many that they are gone."""

    put: int
    removed: int


def publish_catalogue(settings: Settings, dataset: Dataset, as_of_ms: int) -> Fed:
    """Write a catalogue that replaces the one before, and tell the topics how it differs.

    What others tell of items meanwhile comes after it.
    """
    create_topics(settings)
    topics, folder = Topics(settings.namespace), config.catalogue_path(settings)
    dataset = replace(dataset, items=tuple(item_of(document_of(item)) for item in dataset.items))
    table, place = _present(settings, as_of_ms)
    items = list(_items(settings, dataset.items, table))
    users = list(_users(settings, dataset.users))
    with closing(LogWriter(settings)) as writer:
        _send(writer, topics.items, map(_item_message, items))
        _send(writer, topics.users, map(_user_message, users))
    for kind, told in ((ITEM, items), (USER, users)):
        if told:
            versions = [(id_, known, as_of_ms) for id_, known in told]
            write_history(documents_path(settings, kind.name), kind.name, versions, as_of_ms)
    after = {0: place.offsets[0] + len(items)}
    if end_of_log(settings, topics.items) != after[0]:  # somebody else wrote meanwhile
        after = dict(place.offsets)
    write_catalogue(dataset, folder, as_of_ms, Place(after, log=place.log))
    num_removed = sum(known is None for _, known in (*items, *users))
    return Fed(len(items) + len(users) - num_removed, num_removed)


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


def _items(
    settings: Settings, items: Iterable[Item], table: ItemTable
) -> Iterator[tuple[str, Item | None]]:
    """The items to tell of, by id; None for one that is gone."""
    ids = set[str]()
    is_new = not end_of_log(settings, Topics(settings.namespace).items)
    for item in items:
        ids.add(item.item_id)
        if is_new or table.get(item.item_id) != item:
            yield item.item_id, item
    yield from ((item_id, None) for item_id in table.ids() if item_id not in ids)


def _users(settings: Settings, users: Iterable[User]) -> Iterator[tuple[str, User | None]]:
    """The users to tell of, likewise."""
    try:
        before: Mapping[str, User] = read_users(config.catalogue_path(settings))
    except DatasetError:
        before = {}
    is_new = not end_of_log(settings, Topics(settings.namespace).users)
    ids = set[str]()
    for user in users:
        ids.add(user.user_id)
        if is_new or before.get(user.user_id) != user:
            yield user.user_id, user
    yield from ((user_id, None) for user_id in before if user_id not in ids)


def _item_message(told: tuple[str, Item | None]) -> Message:
    item_id, item = told
    return removal(item_id) if item is None else whole_message(ITEM, document_of(item))


def _user_message(told: tuple[str, User | None]) -> Message:
    user_id, user = told
    if user is None:
        return removal(user_id)
    return whole_message(USER, UserDocument(user_id, attributes_of(user.attributes)))


def _send(writer: LogWriter, topic: str, messages: Iterable[Message]) -> None:
    """Send, and wait until the broker has all."""
    for message in messages:
        writer.send(topic, message.value, message.key)
    writer.flush()
