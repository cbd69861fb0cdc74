"""Rows: the state of an entity and the position in the event log that it includes.

A row is a numpy record, in memory, in Redis and in Kafka alike, little endian:

    schema uint32, partition uint32, position int64, event_time_ms int64, state (`Layout.dtype`)

Events of `partition` up to and including `position` are in the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.errors import ServiceError
from headrace.features.layout import Layout
from headrace.features.table import SCHEMA

Rows = NDArray[Any]

_HEADER: Final = [
    ("schema", "<u4"), ("partition", "<u4"), ("position", "<i8"), ("event_time_ms", "<i8")
]  # fmt: skip


@lru_cache
def row_dtype(layout: Layout) -> np.dtype[Any]:
    """numpy's description of one row of an entity."""
    return np.dtype([*_HEADER, ("state", layout.dtype)])


def fresh_rows(layout: Layout, num: int, partition: int = 0) -> Rows:
    """[num]: rows of entities before their first event."""
    row = np.zeros(1, row_dtype(layout))
    row["schema"], row["partition"], row["position"] = SCHEMA, partition, -1
    row["state"] = layout.new(1)
    return row.repeat(num)


def encode_rows(rows: Rows) -> list[bytes]:
    """Each row as the bytes that `decode_rows` reads."""
    payloads: list[bytes] = whole(rows).tolist()
    return payloads


def whole(rows: Rows) -> NDArray[np.void]:
    """The same rows as nothing but bytes: numpy copies them at once, and not field by field."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))


def decode_rows(payloads: Sequence[bytes], layout: Layout) -> Rows:
    """The rows in these bytes; raises `ServiceError` if another feature table wrote one."""
    dtype = row_dtype(layout)
    for payload in payloads:
        schema = int.from_bytes(payload[:4], "little")
        if schema != SCHEMA or len(payload) != dtype.itemsize:
            raise ServiceError(
                f"a stored {layout.entity} row has feature schema {schema:08x}, this build has "
                f"{SCHEMA:08x}: use another namespace (HEADRACE_NAMESPACE) or an empty Redis "
                "database"
            )
    return np.frombuffer(b"".join(payloads), dtype).copy()
