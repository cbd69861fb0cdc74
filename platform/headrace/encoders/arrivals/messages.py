"""Vectors as messages of the topic `item-vectors`, and the reader that keeps a table up with it.

A message has the table and the item in its key, and as value the hash of what was encoded and the
vector; one without a value says that the item has none in that table any more.

P changed items   D width of a table
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.broker.log_sender import Message
from headrace.broker.partitioner import partition_of
from headrace.broker.record import Record
from headrace.catalogue.vectors import ContentVectors, VectorColumn
from headrace.keys import key
from headrace.skipped import Skipped, place, shortened

TOPIC: Final = "item-vectors"
_SEPARATOR: Final = b"\0"  # between table and item: a name of a table has none
_HASH: Final = struct.Struct("<q")


def vector_message(
    table: str,
    item_id: str,
    content_hash: int,
    vector_D: NDArray[np.float32] | None,
    num_partitions: int,
) -> Message:
    """The message of an item's vector; None takes it away."""
    of_item = item_id.encode()
    value = None if vector_D is None else _HASH.pack(content_hash) + vector_D.tobytes()
    named = table.encode() + _SEPARATOR + of_item
    return Message(named, value, partition=partition_of(of_item, num_partitions))


class VectorFollower:
    """Keeps content vectors up with the topic; messages of other tables are passed over."""

    def __init__(self, vectors: ContentVectors, skipped: Skipped) -> None:
        self._columns = {column.name: column for column in vectors.columns}
        self._skipped = skipped

    def take(self, records: Iterable[Record]) -> NDArray[np.int64]:
        """[P]: the keys of the items whose vectors came, changed or went by these records."""
        told: dict[str, dict[str, NDArray[np.float32] | None]] = {}
        for record in records:
            try:
                table, item_id, vector = self._read(record)
            except (ValueError, struct.error) as error:
                where = f"{place(record.partition, record.offset)}: {shortened(str(error))}"
                self._skipped.add(TOPIC, "no vector", where, max(record.num_lost, 1))
                continue
            if table in self._columns:
                told.setdefault(table, {})[item_id] = vector
        for table, of_table in told.items():
            _change(self._columns[table], of_table)
        changed = {key(item_id) for of_table in told.values() for item_id in of_table}
        return np.array(sorted(changed), np.int64)

    def _read(self, record: Record) -> tuple[str, str, NDArray[np.float32] | None]:
        named, separator, of_item = (record.key or b"").partition(_SEPARATOR)
        if record.num_lost or not (separator and of_item):
            raise ValueError("a damaged batch" if record.num_lost else "no key of a vector")
        table, item_id = named.decode(), of_item.decode()
        if not record.value:
            return table, item_id, None
        vector_D = np.frombuffer(record.value, np.float32, offset=_HASH.size)
        column = self._columns.get(table)
        if column and (len(vector_D) != column.width or not np.isfinite(vector_D).all()):
            raise ValueError(
                f"{table} of {item_id!r}: expected {column.width} finite numbers, got {vector_D}"
            )
        return table, item_id, vector_D


def _change(column: VectorColumn, told: dict[str, NDArray[np.float32] | None]) -> None:
    put = {item_id: vector for item_id, vector in told.items() if vector is not None}
    removed: Sequence[str] = [item_id for item_id, vector in told.items() if vector is None]
    if put:
        column.put(list(put), np.stack(list(put.values())))
    column.remove(removed)
