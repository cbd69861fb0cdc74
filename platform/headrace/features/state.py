"""Rows: the state of one entity and the position in the event log that it includes.

header  schema uint32, partition uint32, position int64, event time int64
state   float64 x W, little endian
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from headrace.errors import ServiceError
from headrace.features.aggregators import State
from headrace.features.table import SCHEMA, Layout

_HEADER = struct.Struct("<IIqq")


@dataclass(slots=True)
class Row:
    """An entity's state. Events of `partition` up to and including `position` are in it."""

    partition: int
    position: int
    event_time_ms: int
    state_W: State


def fresh_row(partition: int, layout: Layout) -> Row:
    """The row of an entity before its first event."""
    return Row(partition, -1, 0, layout.empty.copy())


def encode_row(row: Row) -> bytes:
    """The row as the bytes that `decode_row` reads."""
    head = _HEADER.pack(SCHEMA, row.partition, row.position, row.event_time_ms)
    return head + row.state_W.astype("<f8").tobytes()


def decode_row(payload: bytes, layout: Layout) -> Row:
    """The row in these bytes; raises `ServiceError` if another feature table wrote it."""
    schema, partition, position, event_time_ms = _HEADER.unpack_from(payload)
    if schema != SCHEMA or len(payload) != _HEADER.size + 8 * layout.width:
        raise ServiceError(
            f"a stored {layout.entity} row has feature schema {schema:08x}, this build has "
            f"{SCHEMA:08x}: use another namespace (HEADRACE_NAMESPACE) or an empty Redis database"
        )
    state_W = np.frombuffer(payload, dtype="<f8", offset=_HEADER.size).copy()
    return Row(partition, position, event_time_ms, state_W)
