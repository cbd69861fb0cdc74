"""The history of items and users as rows, each valid from a moment on.

    offline/documents/item/date=2024-05-01/...

A join as of a moment reads them, so that it finds the price of then. Of an item or user that went
there is a row without values.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from headrace.catalogue import columnar
from headrace.catalogue.files import ITEM_SCHEMA, USER_SCHEMA
from headrace.catalogue.item import Item, User

CURRENCY: Final = "currency"  # of an item without one it is empty
TIME_MS: Final = ("event_time_ms", pa.int64())
SCHEMAS: Final[dict[str, pa.Schema]] = {
    f"{name}": pa.schema([*list(schema)[:-1], pa.field(*TIME_MS), schema.field(-1)])
    for name, schema in (("item", ITEM_SCHEMA), ("user", USER_SCHEMA))
}
Version = tuple[str, Item | User | None, int]  # the id, the item or user, the moment in ms


def history_rows(kind: str, versions: Iterable[Version]) -> pa.Table:
    """The rows of these versions of items or users."""
    schema, every = SCHEMAS[kind], list(versions)
    columns: list[list[Any]] = [[id_ for id_, _, _ in every]]
    for name in schema.names[1:-2]:
        columns.append([_value(known, name) for _, known, _ in every])
    time_ms = np.array([time_ms for _, _, time_ms in every], np.int64)
    arrays = [pa.array(c, t) for c, t in zip(columns, schema.types[:-2], strict=True)]
    moments = pa.array(time_ms * 1_000).cast(schema.types[-1])
    return pa.Table.from_arrays([*arrays, pa.array(time_ms), moments], schema=schema)


def _value(known: Item | User | None, name: str) -> Any:
    value = getattr(known, name, None)
    return None if value == "" and name == CURRENCY else value


def write_history(folder: Path, kind: str, versions: Iterable[Version], as_of_ms: int) -> None:
    """Write versions that are valid from one moment on into the folder of a kind's history."""
    day = folder / f"date={np.datetime64(as_of_ms, 'ms').astype('datetime64[D]')}"
    day.mkdir(parents=True, exist_ok=True)
    path = day / f"materialized-{as_of_ms}.parquet"
    with columnar.replacing(path, SCHEMAS[kind]) as writer:
        writer.write_table(history_rows(kind, versions))
