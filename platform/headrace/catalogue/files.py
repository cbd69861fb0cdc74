"""The catalogue on disk: items and users as Parquet, read by Feast, serving and trainers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace.catalogue import columnar
from headrace.catalogue.content import write_content
from headrace.catalogue.item import Dataset, Item, User
from headrace.catalogue.place import Place
from headrace.errors import DatasetError

ITEMS_FILE: Final = "items.parquet"
USERS_FILE: Final = "users.parquet"
_PLACE: Final = b"place"  # in the metadata of the items' file
_ALWAYS: Final = 4  # columns of an item that are never empty: the first ones
READ_ROWS: Final = 10_000  # at once

_WORDS: Final = pa.list_(pa.string())
_EVENT_TIME: Final = ("event_timestamp", pa.timestamp("us", tz="UTC"))  # the name Feast joins on
ITEM_SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("categories", _WORDS),
        ("attributes", _WORDS),
        ("price_micros", pa.int64()),
        ("currency", pa.string()),
        ("stock", pa.int64()),
        ("available_from_ms", pa.int64()),
        ("available_until_ms", pa.int64()),
        ("min_age", pa.int64()),
        _EVENT_TIME,
    ]
)
USER_SCHEMA: Final = pa.schema([("user_id", pa.string()), ("attributes", _WORDS), _EVENT_TIME])


def write_catalogue(
    dataset: Dataset, folder: Path, as_of_ms: int, place: Place | None = None
) -> None:
    """Writes items, their content and users into `folder`, each file replaced atomically.

    `as_of_ms` becomes the event time of all rows: what is written here is known from then on.
    `place` is how far the items' topic is told of in them.
    """
    users = dataset.users
    columns: list[list[object]] = [
        [getattr(item, name) for item in dataset.items] for name in ITEM_SCHEMA.names[:-1]
    ]
    currency = ITEM_SCHEMA.names.index("currency")
    columns[currency] = [code or None for code in columns[currency]]
    items = _table(ITEM_SCHEMA, columns, as_of_ms)
    tables = {
        ITEMS_FILE: items.replace_schema_metadata({_PLACE: (place or Place()).text()}),
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


def each_item(folder: Path) -> Iterator[Item]:
    """The items that `write_catalogue` wrote, in the same order, a part of the file at a time."""
    for columns in _batches(folder / ITEMS_FILE, ITEM_SCHEMA):
        known = columns.select(ITEM_SCHEMA.names[:-1])  # without a time, which is slow to read
        for item_id, title, categories, attributes, *numbers in columnar.rows(known):
            price_micros, currency, *rest = numbers
            words = tuple(categories), tuple(attributes)
            yield Item(item_id, title, *words, price_micros, currency or "", *rest)


def read_place(folder: Path) -> Place:
    """How far these items include their topic; nothing of it where the file does not say."""
    told = (columnar.schema(folder / ITEMS_FILE).metadata or {}).get(_PLACE)
    return Place.parsed(told.decode()) if told else Place()


def read_items(folder: Path) -> dict[str, Item]:
    """The same by id."""
    return {item.item_id: item for item in each_item(folder)}


def read_users(folder: Path) -> dict[str, User]:
    """The users that `write_catalogue` wrote, by id, in the same order."""
    return {
        user_id: User(user_id, tuple(attributes))
        for columns in _batches(folder / USERS_FILE, USER_SCHEMA)
        for user_id, attributes, _ in columnar.rows(columns)
    }


def _table(schema: pa.Schema, columns: Sequence[Sequence[object]], as_of_ms: int) -> pa.Table:
    times_us = pa.array([as_of_ms * 1000] * len(columns[0]), pa.int64())
    types = schema.types[:-1]
    arrays = [pa.array(list(c), kind) for c, kind in zip(columns, types, strict=True)]
    return pa.Table.from_arrays([*arrays, times_us.cast(schema.types[-1])], schema=schema)


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        found = columnar.schema(path)
        types = [found.field(name).type if name in found.names else None for name in schema.names]
        if None not in types and types != schema.types:
            raise DatasetError(f"{path}: is not a catalogue file, its columns have other types")
        for columns in columnar.batches(path, schema.names, READ_ROWS):
            columnar.check_complete(columns.select(schema.names[:_ALWAYS]), str(path))
            yield columns.select(schema.names)
    except DatasetError as error:
        remedy = "run `headrace materialize --data ...` or `headrace up` first"
        raise DatasetError(f"no usable catalogue: {error}: {remedy}") from None
