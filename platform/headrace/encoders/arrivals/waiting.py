"""Waiting items: the documents of the topic `items`, and which are to be encoded, on disk.

One file holds documents, positions in the topic and hashes of the vectors that were sent, and a
step changes all of them at once: who encodes may die at any moment and goes on where he was. He
leaves nothing out; what was sent and not noted is sent again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from headrace.broker.record import Record
from headrace.broker.topics import LogIdentity
from headrace.catalogue.content import Modality
from headrace.documents.document import ITEM, ItemDocument, ItemPatch, merged
from headrace.documents.messages import MessageReader
from headrace.errors import InvalidDocument
from headrace.skipped import Skipped

HashOf = Callable[[ItemDocument, Modality], int | None]  # of its value; None: it has none

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS log (identity TEXT);
CREATE TABLE IF NOT EXISTS positions (partition INTEGER PRIMARY KEY, next_offset INTEGER);
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, document BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent  -- a hash of NULL: nobody knows
    (name TEXT, id TEXT, hash INTEGER, PRIMARY KEY (name, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting
    (name TEXT, id TEXT, hash INTEGER, since_ms INTEGER, PRIMARY KEY (name, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON waiting (name, since_ms);
"""


@dataclass(frozen=True, slots=True)
class Waits:
    """An item that waits: its document and the hash of its value; neither where its vector is to
    be taken away."""

    item_id: str
    document: ItemDocument | None
    content_hash: int | None


class Waiting:
    """What waits for each vector table; `tables` has the modality of each."""

    def __init__(
        self, path: Path, tables: Mapping[str, Modality], hash_of: HashOf, skipped: Skipped
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._tables, self._hash_of = dict(tables), hash_of
        self._messages: MessageReader[ItemDocument] = MessageReader(ITEM, skipped)
        self._file = sqlite3.connect(path)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")
        self._file.executescript(_TABLES)

    def bind(self, log: LogIdentity) -> dict[int, int]:
        """The positions in this log; all begins anew where they are of another one."""
        with self._file as file:
            (stored,) = file.execute("SELECT max(identity) FROM log").fetchone()
            if stored is None or LogIdentity.parsed(stored).differs_from(log):
                for name in ("log", "positions", "documents", "sent", "waiting"):
                    file.execute(f"DELETE FROM {name}")
                file.execute("INSERT INTO log VALUES (?)", (str(log),))
        return dict(self._file.execute("SELECT partition, next_offset FROM positions"))

    def note_encoded(self, name: str, content_hashes: Mapping[str, int]) -> None:
        """Vectors that lie in the table's own file, and need not be sent."""
        with self._file as file:
            file.executemany(
                "INSERT OR IGNORE INTO sent VALUES (?, ?, ?)",
                ((name, item_id, hash_) for item_id, hash_ in content_hashes.items()),
            )

    def take(self, records: Sequence[Record]) -> None:
        """Take in records of the topic; each arrived at the time that it says."""
        with self._file as file:
            for record in records:
                self._take(file, record)
            ends = {record.partition: record.offset + 1 for record in records}
            file.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", ends.items())

    def batch(self, name: str, num: int) -> list[Waits]:
        """Those that have waited for longest for a table."""
        rows = self._file.execute(
            "SELECT waiting.id, waiting.hash, document FROM waiting "
            "LEFT JOIN documents ON documents.id = waiting.id WHERE name = ? "
            "ORDER BY since_ms LIMIT ?",
            (name, num),
        )
        return [
            Waits(item_id, _decoded(payload) if hash_ is not None and payload else None, hash_)
            for item_id, hash_, payload in rows
        ]

    def begin(self, name: str, waits: Iterable[Waits]) -> None:
        """Note that vectors of these may be in the topic from now on, whatever happens next."""
        with self._file as file:
            rows = ((name, one.item_id) for one in waits)
            file.executemany("INSERT OR REPLACE INTO sent VALUES (?, ?, NULL)", rows)

    def done(self, name: str, waits: Iterable[Waits]) -> None:
        """Note that these were sent. What has changed since goes on waiting."""
        with self._file as file:
            for one in waits:
                file.execute(
                    "DELETE FROM waiting WHERE name = ? AND id = ? AND hash IS ?",
                    (name, one.item_id, one.content_hash),
                )
                self._note(file, name, one)

    def num_waiting(self, name: str) -> int:
        """How many wait for a table."""
        query = "SELECT count(*) FROM waiting WHERE name = ?"
        return int(self._file.execute(query, (name,)).fetchone()[0])

    def since_ms(self) -> int | None:
        """Since when the oldest waits; None where none does."""
        since: int | None = self._file.execute("SELECT min(since_ms) FROM waiting").fetchone()[0]
        return since

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self, file: sqlite3.Connection, record: Record) -> None:
        read = self._messages.read(record)
        if read is None:
            return
        item_id, told = read
        query = "SELECT document FROM documents WHERE id = ?"
        found = file.execute(query, (item_id,)).fetchone()
        before = _decoded(found[0]) if found else None
        after = told if isinstance(told, ItemDocument) else None
        if isinstance(told, ItemPatch):
            after = self._merged(record, before, told)
        if after is None:
            file.execute("DELETE FROM documents WHERE id = ?", (item_id,))
        else:
            payload = msgspec.json.encode(after)
            file.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (item_id, payload))
        for name, modality in self._tables.items():
            hash_ = self._hash_of(after, modality) if after else None
            if after and hash_ is None and not (before and self._hash_of(before, modality)):
                continue  # it says nothing of what a loader found
            self._compare(file, Waits(item_id, after, hash_), name, record.arrival_ms)

    def _merged(
        self, record: Record, before: ItemDocument | None, patch: ItemPatch
    ) -> ItemDocument | None:
        """The document with the changes of a part; as it was where that does not fit."""
        if before is None:
            self._messages.skip(record, "a part of an item that is not there", patch.item_id)
            return None
        try:
            return merged(before, patch)
        except InvalidDocument as error:
            self._messages.skip(record, "a part that does not fit", str(error))
            return before

    def _compare(self, file: sqlite3.Connection, one: Waits, name: str, now_ms: int) -> None:
        """Have an item wait where its vector is not that of its document."""
        about = name, one.item_id
        query = "SELECT hash FROM sent WHERE name = ? AND id = ?"
        sent = file.execute(query, about).fetchone()
        file.execute("DELETE FROM waiting WHERE name = ? AND id = ?", about)
        is_same = sent[0] == one.content_hash is not None if sent else one.content_hash is None
        if not is_same:
            row = *about, one.content_hash, now_ms
            file.execute("INSERT INTO waiting VALUES (?, ?, ?, ?)", row)

    def _note(self, file: sqlite3.Connection, name: str, one: Waits) -> None:
        if one.content_hash is None:
            file.execute("DELETE FROM sent WHERE name = ? AND id = ?", (name, one.item_id))
        else:
            row = name, one.item_id, one.content_hash
            file.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", row)


def _decoded(payload: bytes) -> ItemDocument:
    return msgspec.json.decode(payload, type=ItemDocument)
