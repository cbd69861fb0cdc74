"""Documents as messages of the topics `items` and `users`, and back.

A whole document has its id as key, a removal is a tombstone of that key. A part has the names of
what it changes behind the id, so that compaction keeps the newest value of each field behind the
document: whoever reads all that is left, in its order, has what whoever read everything has. Each
topic has one partition, so that there is one order whatever else grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic

import msgspec

from headrace.broker.log_sender import Message
from headrace.broker.record import Record
from headrace.documents.document import Document, Kind, Patch, accept_part, accept_whole, changes
from headrace.errors import InvalidDocument
from headrace.skipped import Skipped, place, shortened

MAX_DOCUMENT_BYTES: Final = 500_000  # as JSON
_SEPARATOR: Final = b"\0"  # between an id and the names of what a part changes; no id has it


def whole_message(kind: Kind[Document], document: Document) -> Message:
    """The message of a whole document; raises `InvalidDocument` for one that is too large."""
    return Message(kind.id_of(document).encode(), _encoded(document))


def part_message(kind: Kind[Any], patch: Patch) -> Message:
    """The message of a part; raises `InvalidDocument` likewise."""
    names = msgspec.json.encode(sorted(_names(patch)))
    return Message(kind.id_of(patch).encode() + _SEPARATOR + names, _encoded(patch))


def removal(id_: str) -> Message:
    """The message that takes a document away."""
    return Message(id_.encode(), None)


def id_in(record: Record) -> str:
    """The id in the key of a record of any kind."""
    return (record.key or b"").partition(_SEPARATOR)[0].decode(errors="replace")


class MessageReader(Generic[Document]):
    """Reads the records of a topic of documents; others are counted in `skipped`."""

    def __init__(self, kind: Kind[Document], skipped: Skipped) -> None:
        self._kind: Kind[Document] = kind
        self._skipped = skipped

    def read(self, record: Record) -> tuple[str, Document | Patch | None] | None:
        """The id that a record is about, and the document or part, None for a removal; None where
        it is no such message."""
        try:
            return self._read(record)
        except (InvalidDocument, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self.skip(record, "no document", str(error))
            return None

    def skip(self, record: Record, reason: str, what: str) -> None:
        """Count a record that changes nothing."""
        where = f"{place(record.partition, record.offset)}: {shortened(what)}"
        self._skipped.add(f"{self._kind.name}s", reason, where, max(record.num_lost, 1))

    def _read(self, record: Record) -> tuple[str, Document | Patch | None]:
        id_bytes, separator, _ = (record.key or b"").partition(_SEPARATOR)
        id_ = id_bytes.decode()
        if record.num_lost or not id_:
            raise InvalidDocument("no key" if not record.num_lost else "a damaged batch", "$")
        if not record.value:
            if separator:
                raise InvalidDocument("a part without a value", "$")
            return id_, None
        given = msgspec.json.decode(record.value)
        told: Document | Patch = (
            accept_part(self._kind, given) if separator else accept_whole(self._kind, given)
        )
        if self._kind.id_of(told) != id_:
            raise InvalidDocument(f"the key is of {id_!r}", self._kind.id_field)
        return id_, told


def _names(patch: Patch) -> list[str]:
    """The names of the fields that a part changes; attributes each by itself."""
    names: list[str] = []
    for name, value in changes(patch).items():
        each = isinstance(value, Mapping)
        names += [f"{name}.{one}" for one in value] if each else [name]
    return names


def _encoded(document: Any) -> bytes:
    payload = msgspec.json.encode(document)
    if len(payload) > MAX_DOCUMENT_BYTES:
        told = f"a document has at most {MAX_DOCUMENT_BYTES:,} bytes, this has {len(payload):,}"
        raise InvalidDocument(told, field="$")
    return payload
