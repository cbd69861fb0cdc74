"""Users out of their file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.catalogue.item import User
from headrace.datasets.table.cells.cell import text
from headrace.datasets.table.entities.source import Source
from headrace.datasets.table.mapping import UserColumns


def users(source: Source, part: UserColumns) -> Iterator[User]:
    """The users of a source, in the order of the file."""
    for row in source.rows():
        yield User(row.id, words(row.cells, part.attributes))


def words(cells: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    """The attributes that have a value, as "name=value"; a list has several."""
    pairs = (
        (column, text(value).strip())
        for column in columns
        for value in (cells[column] if isinstance(cells[column], list) else [cells[column]])
    )
    return tuple(f"{column}={value}" for column, value in pairs if value)
