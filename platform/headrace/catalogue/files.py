"""The catalogue on disk: items and users as Parquet, read by Feast, serving and trainers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace.catalogue import columnar
from headrace.catalogue.content import write_content
from headrace.catalogue.item import Dataset, Item, User
from headrace.errors import DatasetError

ITEMS_FILE: Final = "items.parquet"
USERS_FILE: Final = "users.parquet"

_WORDS: Final = pa.list_(pa.string())
_EVENT_TIME: Final = ("event_timestamp", pa.timestamp("us", tz="UTC"))  # the name Feast joins on
ITEM_SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("categories", _WORDS),
        ("attributes", _WORDS),
        _EVENT_TIME,
    ]
)
USER_SCHEMA: Final = pa.schema([("user_id", pa.string()), ("attributes", _WORDS), _EVENT_TIME])


def write_catalogue(dataset: Dataset, folder: Path, as_of_ms: int) -> None:
    """Writes items, their content and users into `folder`, each file replaced atomically.

    `as_of_ms` becomes the event time of all rows: what is written here is known from then on.
    """
    items, users = dataset.items, dataset.users
    tables = {
        ITEMS_FILE: _table(
            ITEM_SCHEMA,
            [
                [item.item_id for item in items],
                [item.title for item in items],
                [item.categories for item in items],
                [item.attributes for item in items],
            ],
            as_of_ms,
        ),
        USERS_FILE: _table(
            USER_SCHEMA,
            [[user.user_id for user in users], [user.attributes for user in users]],
            as_of_ms,
        ),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            with columnar.replacing(folder / name, table.schema) as writer:
                writer.write_table(table)
        write_content(dataset, folder)
    except OSError as error:
        raise DatasetError(f"cannot write the catalogue to {folder}: {error}") from None


def read_items(folder: Path) -> dict[str, Item]:
    """The items that `write_catalogue` wrote, by id, in the same order."""
    table = _read(folder / ITEMS_FILE, ITEM_SCHEMA)
    return {
        item_id: Item(item_id, title, tuple(categories), tuple(attributes))
        for item_id, title, categories, attributes, _ in columnar.rows(table)
    }


def read_users(folder: Path) -> dict[str, User]:
    """The users that `write_catalogue` wrote, by id, in the same order."""
    table = _read(folder / USERS_FILE, USER_SCHEMA)
    return {
        user_id: User(user_id, tuple(attributes)) for user_id, attributes, _ in columnar.rows(table)
    }


def _table(schema: pa.Schema, columns: Sequence[Sequence[object]], as_of_ms: int) -> pa.Table:
    times_us = pa.array([as_of_ms * 1000] * len(columns[0]), pa.int64())
    types = schema.types[:-1]
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, types, strict=True)]
    return pa.Table.from_arrays([*arrays, times_us.cast(schema.types[-1])], schema=schema)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = columnar.read_parquet(path, schema.names).select(schema.names)
        if table.schema.types != schema.types:
            raise DatasetError(f"{path}: is not a catalogue file, its columns have other types")
        columnar.check_complete(table, str(path))
    except DatasetError as error:
        remedy = "run `headrace materialize --data ...` or `headrace up` first"
        raise DatasetError(f"no usable catalogue: {error}: {remedy}") from None
    return table
