"""Documents as lines of JSON: a file into a topic, and a topic into a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.documents.document import (
    ITEM,
    USER,
    Document,
    ItemPatch,
    Kind,
    UserPatch,
    accept_whole,
    merged,
)
from headrace.documents.messages import MessageReader, whole_message
from headrace.errors import DatasetError, InvalidDocument
from headrace.skipped import Skipped

KINDS: Final[dict[str, Kind[Any]]] = {f"{kind.name}s": kind for kind in (ITEM, USER)}
TERMINAL: Final = "-"


def import_file(settings: Settings, name: str, path: str) -> int:
    """Tell the topic of these items or users, each in the place of the one with its id; returns how
    many they are. Raises `DatasetError` for the first line that is none, before any is told."""
    kind, lines = KINDS[name], _lines(path)
    for number, line in enumerate(lines, 1):
        try:
            accept_whole(kind, msgspec.json.decode(line))
        except InvalidDocument as error:
            told = f"{path}, line {number}: {error.field}: {error}"
            raise DatasetError(f"{told}; nothing of this file was imported") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DatasetError(f"{path}, line {number}: not JSON: {error}") from None
    create_topics(settings)
    with closing(LogWriter(settings)) as writer:
        for line in lines:
            message = whole_message(kind, accept_whole(kind, msgspec.json.decode(line)))
            writer.send(getattr(Topics(settings.namespace), name), message.value, message.key)
        writer.flush()
    return len(lines)


def export_file(settings: Settings, name: str, path: str) -> int:
    """Write the items or users that the topic tells of, one a line; returns how many they are."""
    create_topics(settings)
    reader = LogReader(settings, getattr(Topics(settings.namespace), name), {0: 0})
    with closing(reader):
        every = (record for records in reader.read_to_end() for record in records)
        found = folded(KINDS[name], every)
    try:
        with _opened(path) as file:
            file.writelines(msgspec.json.encode(one) + b"\n" for one in found.values())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error}") from None
    return len(found)


def folded(kind: Kind[Document], records: Iterable[Record]) -> dict[str, Document]:
    """The documents that the records of a whole topic come to, by id."""
    messages = MessageReader(kind, Skipped())
    found: dict[str, Any] = {}
    for record in records:
        id_, told = messages.read(record) or ("", None)
        if isinstance(told, kind.whole):
            found[id_] = told
        elif told is None:
            found.pop(id_, None)
        elif isinstance(told, ItemPatch | UserPatch) and id_ in found:
            try:
                found[id_] = merged(found[id_], told)
            except InvalidDocument as error:
                messages.skip(record, "a part that does not fit", str(error))
    return found


def _lines(path: str) -> list[bytes]:
    try:
        content = sys.stdin.buffer.read() if path == TERMINAL else Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from None
    return [line for line in content.splitlines() if line.strip()]


def _opened(path: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdout.buffer) if path == TERMINAL else Path(path).open("wb")
