"""The codec: rows as bytes, and N rows of bytes as columns, in numpy operations over all of them.

N rows   C columns of a view   K columns of one numpy type   V columns of the variable block
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.errors import ServiceError
from headrace.features.store.schema import NUMBERS, Schema

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

HEADER_BYTES = 28
NO_POSITION = -1


@dataclass(frozen=True, slots=True)
class Stamp:
    """The stamp of rows: event time, and the position in the event log that they include."""

    event_time_us_N: Ints
    position_N: Ints | int = NO_POSITION
    partition_N: NDArray[np.int32] | int = NO_POSITION


def encode_rows(
    schema: Schema,
    stamp: Stamp,
    present_NC: Bools,
    numbers: Mapping[str, NDArray[Any]],
    cells: Sequence[Sequence[bytes]],
) -> list[bytes]:
    """N rows as bytes.

    `numbers` has an [N, K] array for each numpy type of the schema, `cells` N cells for each column
    of the variable block. Under a null a number is 0 and a cell is b"".
    """
    head_N = np.zeros(len(stamp.event_time_us_N), schema.dtype)
    head_N["schema"] = schema.hash
    head_N["event_time_us"] = stamp.event_time_us_N
    head_N["position"] = stamp.position_N
    head_N["partition"] = stamp.partition_N
    head_N["present"] = np.packbits(present_NC, axis=1, bitorder="little")
    for numpy_type in schema.numbers:
        head_N[numpy_type] = numbers[numpy_type]
    if schema.variable:
        lengths_VN = np.array([list(map(len, column)) for column in cells], np.uint32)
        head_N["ends"] = lengths_VN.cumsum(axis=0, dtype=np.uint32).T
    whole_N = head_N.view(np.dtype((np.void, schema.dtype.itemsize)))
    heads: list[Any] = whole_N.tolist()
    if not schema.variable:
        return heads
    return [b"".join(parts) for parts in zip(heads, *cells, strict=True)]


def heads_of(schema: Schema, payloads: Sequence[bytes]) -> NDArray[np.void] | None:
    """[N]: the fixed part of these rows, or None if one of them has another schema."""
    size = schema.dtype.itemsize
    flat = bytearray().join(
        [payload[:size] for payload in payloads] if schema.variable else payloads
    )
    if len(flat) != size * len(payloads):
        return None
    head_N: NDArray[np.void] = np.frombuffer(flat, schema.dtype)
    # A row of another length puts those after it out of step, but its own hash is still in place.
    return head_N if (head_N["schema"] == schema.hash).all() else None


def translate(old: Schema, new: Schema, payloads: Sequence[bytes]) -> list[bytes]:
    """Rows of one schema as rows of another: columns of the same name and type keep their
    values, the others are null."""
    head_N = heads_of(old, payloads)
    assert head_N is not None, "the caller has looked at the schema"
    block, kept = Block(old, head_N, payloads), set(old.columns) & set(new.columns)
    present_NC = np.zeros((len(payloads), len(new.columns)), np.bool_)
    for column in kept:
        present_NC[:, new.index[column.name]] = block.present_N(column.name)
    numbers = {}
    for kind, places in new.numbers.items():
        numbers[kind] = np.zeros((len(payloads), len(places)), kind)
        for slot, place in enumerate(places):
            if new.columns[place] in kept:
                numbers[kind][:, slot] = block.numbers_N(new.columns[place].name)
    no_cells = [b""] * len(payloads)
    cells = [
        block.cells(column.name) if column in kept else no_cells
        for column in (new.columns[place] for place in new.variable)
    ]
    stamp = Stamp(head_N["event_time_us"], head_N["position"], head_N["partition"])
    return encode_rows(new, stamp, present_NC, numbers, cells)


def schema_hash(payload: bytes) -> int:
    """The schema of a row; raises `ServiceError` where the bytes are no row."""
    if len(payload) < HEADER_BYTES:
        raise ServiceError(
            f"a value of {len(payload)} bytes in Redis is not a row of headrace's store: another "
            "program writes to its keys; use a database or project of your own"
        )
    return int.from_bytes(payload[:8], "little")


@dataclass(frozen=True)
class Block:
    """N rows of one schema, as columns."""

    schema: Schema
    head_N: NDArray[np.void]
    payloads: Sequence[bytes]

    @property
    def present_NC(self) -> Bools:
        """Where a column has a value and not a null."""
        bits = np.unpackbits(
            self.head_N["present"], axis=1, count=len(self.schema.columns), bitorder="little"
        )
        return bits.view(np.bool_)

    def present_N(self, name: str) -> Bools:
        """The same for one column."""
        byte, bit = divmod(self.schema.index[name], 8)
        present_N: Bools = (self.head_N["present"][:, byte] >> bit & 1).view(np.bool_)
        return present_N

    def numbers_N(self, name: str) -> NDArray[Any]:
        """A fixed-width column, as a view of the rows."""
        kind = NUMBERS[self.schema.columns[self.schema.index[name]].type]
        column_N: NDArray[Any] = self.head_N[kind][:, self.schema.slot[name]]
        return column_N

    def cells(self, name: str) -> list[bytes]:
        """A column of the variable block; b"" also where there is a null."""
        slot, begin = self.schema.slot[name], self.schema.dtype.itemsize
        ends_NV = self.head_N["ends"].astype(np.int64) + begin
        stops = ends_NV[:, slot].tolist()
        starts = ends_NV[:, slot - 1].tolist() if slot else [begin] * len(stops)
        rows = zip(self.payloads, starts, stops, strict=True)
        return [payload[start:stop] for payload, start, stop in rows]
