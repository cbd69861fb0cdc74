"""Rows: the state of an entity and the position in the event log that it includes.

A row is a numpy record, in memory, in Redis and in Kafka alike, little endian:

    schema uint32, partition uint32, position int64, event_time_ms int64, state (`Layout.dtype`)

Events of `partition` up to and including `position` are in the state.

    N payloads   K of them that are rows
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.errors import ServiceError
from headrace.features.aggregation.floats import whole
from headrace.features.aggregation.layout import Layout
from headrace.features.schema import STATE_SCHEMA

Rows = NDArray[Any]
START_PARTITION: Final = 0xFFFFFFFF  # which no stream has: of rows that a namespace began with

_HEADER: Final = [
    ("schema", "<u4"), ("partition", "<u4"), ("position", "<i8"), ("event_time_ms", "<i8")
]  # fmt: skip


_CURRENT: Final = STATE_SCHEMA.to_bytes(4, "little")


@lru_cache
def row_dtype(layout: Layout) -> np.dtype[Any]:
    """numpy's description of one row of an entity."""
    return np.dtype([*_HEADER, ("state", layout.dtype)])


def blank_rows(layout: Layout, num: int, partition: int = 0) -> Rows:
    """[num]: rows of entities before their first event."""
    row = np.zeros(1, row_dtype(layout))
    row["schema"], row["partition"], row["position"] = STATE_SCHEMA, partition, -1
    row["state"] = layout.new(1)
    return row.repeat(num)


def encode_rows(rows: Rows) -> list[bytes]:
    """Each row as the bytes that `decode_rows` reads."""
    payloads: list[bytes] = whole(rows).tolist()
    return payloads


def decode_rows(payloads: Sequence[bytes], layout: Layout) -> Rows:
    """The rows in these bytes; raises `ServiceError` if another feature table wrote one."""
    dtype = row_dtype(layout)
    for payload in payloads:
        schema = int.from_bytes(payload[:4], "little")
        if schema != STATE_SCHEMA or len(payload) != dtype.itemsize:
            raise ServiceError(
                f"a stored {layout.entity} row has the state schema {schema:08x}, this build has "
                f"{STATE_SCHEMA:08x}: use another namespace (HEADRACE_NAMESPACE) or an empty Redis "
                "database"
            )
    return np.frombuffer(b"".join(payloads), dtype).copy()


def position_in(payload: bytes) -> int:
    """The position that a row's bytes say, without a look at the others."""
    return int.from_bytes(payload[8:16], "little", signed=True)


def readable_rows(
    payloads: Sequence[bytes], layout: Layout
) -> tuple[NDArray[np.int64], Rows, dict[int, str]]:
    """[K] which of these bytes are rows, the K rows, and why each of the others is none."""
    size, dtype = row_dtype(layout).itemsize, row_dtype(layout)
    is_row = [len(payload) == size and payload.startswith(_CURRENT) for payload in payloads]
    if all(is_row):
        rows, place_K = np.frombuffer(b"".join(payloads), dtype).copy(), np.arange(len(payloads))
    else:
        place_K = np.flatnonzero(is_row)
        rows = np.frombuffer(b"".join([payloads[n] for n in place_K.tolist()]), dtype).copy()
    sound_K = (rows["position"] >= -1) & (rows["event_time_ms"] >= 0)
    if not layout.are_possible(rows["state"]):
        sound_K &= [layout.are_possible(rows["state"][n : n + 1]) for n in range(len(rows))]
    if not sound_K.all():
        rows, place_K = rows[sound_K], place_K[sound_K]
    if len(rows) == len(payloads):
        return place_K, rows, {}
    others = set(range(len(payloads))) - set(place_K.tolist())
    return place_K, rows, {n: _fault(payloads[n], size) for n in sorted(others)}


def _fault(payload: bytes, size: int) -> str:
    """Why these bytes are no row."""
    if len(payload) >= 4 and not payload.startswith(_CURRENT):
        schema = int.from_bytes(payload[:4], "little")
        return f"state schema {schema:08x} is not described, this build has {STATE_SCHEMA:08x}"
    if len(payload) != size:
        return f"a row has {size} bytes, this has {len(payload)}"
    return "numbers, times or positions that cannot be"
