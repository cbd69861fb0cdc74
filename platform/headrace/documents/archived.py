"""Messages of the topics of items and users as rows of their history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

import pyarrow as pa

from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.catalogue.files import read_users
from headrace.catalogue.item import User
from headrace.catalogue.place import Place
from headrace.catalogue.table.shared import open_catalogue
from headrace.config import Settings, catalogue_path
from headrace.documents.document import (
    ITEM,
    USER,
    ItemDocument,
    Kind,
    UserDocument,
    attributes_of,
    merged,
    words_of,
)
from headrace.documents.followed import begun
from headrace.documents.history import Version, history_rows
from headrace.documents.items import document_of, item_of
from headrace.documents.messages import MessageReader
from headrace.errors import DatasetError, InvalidDocument
from headrace.skipped import Skipped

Present = Callable[[str], Any]
MAX_TOLD: Final = 100_000  # documents; what parts of others change is what the catalogue had


class ArchivedDocuments:
    """Turns records into rows, each whole: a part is merged into what was known, which is what the
    records before it said, or else `present` does."""

    def __init__(
        self,
        kind: Kind[Any],
        known_of: Callable[[Any], Any],
        present: Present = lambda _: None,
        place: Place | None = None,
    ) -> None:
        self._kind, self._present, self._known_of = kind, present, known_of
        self._place = place or Place()
        self._told: dict[str, Any] = {}

    def rows(self, records: Sequence[Record], skipped: Skipped) -> pa.Table:
        """The rows of these records."""
        versions = self._versions(records, MessageReader(self._kind, skipped))
        return history_rows(self._kind.name, versions)

    def go_on(self, settings: Settings, topic: str, end: int) -> None:
        """Take in the messages before this offset, whose rows were written before."""
        if not end:
            return
        start = begun(settings, topic, self._place, self._place.as_of_ms).offsets[0]
        with closing(LogReader(settings, topic, {0: min(start, end)})) as reader:
            for records in reader.read_to_end():
                before = [record for record in records if record.offset < end]
                list(self._versions(before, MessageReader(self._kind, Skipped())))
                if len(before) < len(records):
                    return

    def _versions(
        self, records: Sequence[Record], messages: MessageReader[Any]
    ) -> Iterator[Version]:
        for record in records:
            read = messages.read(record)
            if read is None:
                continue
            id_, told = read
            if told is not None and not isinstance(told, self._kind.whole):
                before = self._told[id_] if id_ in self._told else self._present(id_)
                try:
                    told = None if before is None else merged(before, told)
                except InvalidDocument:
                    continue
                if told is None:
                    continue
            self._remember(id_, told)
            known = None if told is None else self._known_of(told)
            yield id_, known, record.arrival_ms

    def _remember(self, id_: str, told: Any) -> None:
        self._told.pop(id_, None)
        self._told[id_] = told
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]


def archived_items(settings: Settings) -> ArchivedDocuments:
    """Rows of items; parts change the items of the catalogue."""
    try:
        table, place = open_catalogue(catalogue_path(settings), settings.namespace)
    except DatasetError:
        return ArchivedDocuments(ITEM, item_of)

    def present(item_id: str) -> ItemDocument | None:
        item = table.get(item_id)
        return document_of(item) if item else None

    return ArchivedDocuments(ITEM, item_of, present, place)


def archived_users(settings: Settings) -> ArchivedDocuments:
    """Rows of users; parts change the users of the catalogue."""
    try:
        users = read_users(catalogue_path(settings))
    except DatasetError:
        users = {}

    def present(user_id: str) -> UserDocument | None:
        user = users.get(user_id)
        return UserDocument(user_id, attributes_of(user.attributes)) if user else None

    def known_of(document: UserDocument) -> User:
        return User(document.user_id, words_of(document.attributes))

    return ArchivedDocuments(USER, known_of, present)
