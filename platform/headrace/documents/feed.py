"""A whole catalogue, told to the topics: its items and users that are new or other, and who left.

The file of the items that is written then says how far the topic is in it, so that whoever starts
with the file need not read it all again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from headrace import config
from headrace.broker.log_sender import Message
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.content import MODALITIES, read_hashes, value_hash
from headrace.catalogue.files import read_users, write_catalogue
from headrace.catalogue.item import Content, Dataset, Item, User
from headrace.catalogue.place import Place
from headrace.catalogue.table.table import ItemTable
from headrace.config import Settings
from headrace.documents.document import (
    ITEM,
    MAX_DESCRIPTION,
    MAX_WIDTH,
    USER,
    UserDocument,
    attributes_of,
)
from headrace.documents.followed import FollowedItems, begun, end_of_log
from headrace.documents.history import write_history
from headrace.documents.items import document_of, item_of
from headrace.documents.messages import removal, whole_message
from headrace.errors import DatasetError, ServiceError
from headrace.paths import documents_path
from headrace.services.kafka import check_broker
from headrace.skipped import Skipped

Contents = dict[str, Content]


@dataclass(frozen=True, slots=True)
class Fed:
    """How many items and users were told of, and how many that they are gone."""

    put: int
    removed: int


def materialize_files(settings: Settings, dataset: Dataset, as_of_ms: int) -> str:
    """Publish a catalogue, and tell the result; where no broker was named and none answers,
    write its files only."""
    try:
        check_broker(settings.kafka_bootstrap, settings.kafka)
    except ServiceError:
        if config.is_given("kafka_bootstrap"):
            raise
        write_catalogue(dataset, config.catalogue_path(settings), as_of_ms)
        return "no broker answers, so nobody is told: materialize again once one does"
    told = publish_catalogue(settings, dataset, as_of_ms)
    return f"{told.put:,} items and users are new or other, {told.removed:,} are gone"


def publish_catalogue(settings: Settings, dataset: Dataset, as_of_ms: int) -> Fed:
    """Write a catalogue that replaces the one before, and tell the topics how it differs.

    What others tell of items meanwhile comes after it.
    """
    create_topics(settings)
    topics, folder = Topics(settings.namespace), config.catalogue_path(settings)
    dataset = replace(dataset, items=tuple(item_of(document_of(item)) for item in dataset.items))
    table, place = _present(settings, as_of_ms)
    contents = _contents(dataset)
    items = list(_items(settings, dataset.items, table, contents))
    users = list(_users(settings, dataset.users))
    with closing(LogWriter(settings)) as writer:
        _send(writer, topics.items, (_item_message(*one, contents) for one in items))
        _send(writer, topics.users, map(_user_message, users))
    for kind, told in ((ITEM, items), (USER, users)):
        if told:
            versions = [(id_, known, as_of_ms) for id_, known in told]
            write_history(documents_path(settings, kind.name), kind.name, versions, as_of_ms)
    after = {0: place.offsets[0] + len(items)}
    if end_of_log(settings, topics.items) != after[0]:  # somebody else wrote meanwhile
        after = dict(place.offsets)
    write_catalogue(dataset, folder, as_of_ms, Place(after, log=place.log, as_of_ms=as_of_ms))
    num_removed = sum(known is None for _, known in (*items, *users))
    return Fed(len(items) + len(users) - num_removed, num_removed)


def _present(settings: Settings, now_ms: int) -> tuple[ItemTable, Place]:
    """The items as they are, and the topic's place; no items where nothing tells of any."""
    try:
        followed = FollowedItems(settings, Skipped(), lambda: now_ms)
    except DatasetError:
        place = begun(settings, Topics(settings.namespace).items, Place(), now_ms)
        return ItemTable(), place
    with closing(followed):
        followed.read_to_end()
        return followed.table, followed.place


def _items(
    settings: Settings, items: Iterable[Item], table: ItemTable, contents: Contents
) -> Iterator[tuple[str, Item | None]]:
    """The items to tell of, by id; None for one that is gone."""
    ids, hashes = set[str](), _hashes(settings)
    is_new = not end_of_log(settings, Topics(settings.namespace).items)
    for item in items:
        ids.add(item.item_id)
        content = contents.get(item.item_id)
        is_other = content is not None and hashes.get(item.item_id) != _hash(item, content)
        if is_new or is_other or table.get(item.item_id) != item:
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


def _item_message(item_id: str, item: Item | None, contents: Contents) -> Message:
    if item is None:
        return removal(item_id)
    document, content = document_of(item), contents.get(item_id)
    if content is not None:
        given = {"description": content.description, "vector": content.vector}
        document = msgspec.structs.replace(document, **given)
    return whole_message(ITEM, document)


def _contents(dataset: Dataset) -> Contents:
    """The contents that documents have too: descriptions, and vectors that are whole."""
    found: Contents = {}
    for content in dataset.contents():
        description, vector = content.description, content.vector
        if vector is not None and not (len(vector) <= MAX_WIDTH and np.isfinite(vector).all()):
            vector = None
        if description or vector:
            text = description[:MAX_DESCRIPTION] if description else None
            found[content.item_id] = Content(content.item_id, text, vector)
    return found


def _hashes(settings: Settings) -> dict[str, tuple[int | None, int | None]]:
    """Of each item of the catalogue before, the hashes of its text and its given vector."""
    folder = config.catalogue_path(settings)
    try:
        texts, vectors = (read_hashes(folder, modality) for modality in ("text", "vector"))
    except DatasetError:
        return {}
    return {item_id: (text, vectors.get(item_id)) for item_id, text in texts.items()}


def _hash(item: Item, content: Content) -> tuple[int | None, int | None]:
    values = (MODALITIES[name].take(item, content, name) for name in ("text", "vector"))
    text, vector = (None if value is None else value_hash(value) for value in values)
    return text, vector


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
