"""Whether a mapping fits the files that it names: they are there, with columns that will do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headrace.catalogue.content import FILES
from headrace.datasets.table.files import joins
from headrace.datasets.table.files.open import TableFile, find
from headrace.datasets.table.files.typed import Nature, nature
from headrace.datasets.table.mapping import (
    AnyPart,
    ItemColumns,
    TableMapping,
    columns,
    path_of,
)
from headrace.errors import ConfigError

SINGLE: Final[tuple[Nature, ...]] = ("text", "bytes", "whole", "number", "boolean")
# What the column of a key may hold; `SINGLE` that of others.
NATURES: Final[dict[str, tuple[Nature, ...]]] = {
    "time": (*SINGLE, "time"),
    "title": (*SINGLE, "time"),
    "attributes": (*SINGLE, "time", "list"),
    "categories": (*SINGLE, "list"),
    "vector": (*SINGLE, "list"),
    "item_ids": (*SINGLE, "list"),
    **dict.fromkeys(FILES, ("text", "bytes", "picture")),
    "properties": (*SINGLE, "time"),
}
NAMES: Final[dict[Nature, str]] = {
    "text": "text",
    "whole": "numbers",
    "time": "times",
    "list": "lists",
    "picture": "pictures",
}


def check(folder: Path, mapping: TableMapping) -> None:
    """Raises `ConfigError` naming every file and column that the mapping names in vain."""
    parts = {"events": mapping.events, "items": mapping.items, "users": mapping.users}
    problems = [
        f"{name}.{problem}"
        for name, part in parts.items()
        if part is not None
        for problem in _misfits(folder, part)
    ]
    if problems:
        raise ConfigError(f"{path_of(folder)}: {'; '.join(problems)}")


def _misfits(folder: Path, part: AnyPart) -> Iterator[str]:
    for key, problem in joins.misfits(folder, part.joins):
        yield f"{key}: {problem}"
    joined = {column for join in part.joins for column in join.columns}
    wanted = [(key, column) for key, column in _needed(part) if column not in joined]
    if not (isinstance(part, ItemColumns) and part.properties):  # else a key may be a property
        keys = [("joins", joins.key_of(join)[0]) for join in part.joins]
        wanted += [(key, column) for key, column in keys if column not in joined]
    files = find(folder, part.file, part.format)
    if not files:
        yield f"file: there is no file {folder / str(part.file)}"
    for file in files:
        if file.path.is_file():
            yield from _misfits_of_file(file, wanted)
        else:
            yield f"file: there is no file {file.path}"


def _misfits_of_file(file: TableFile, wanted: list[tuple[str, str]]) -> Iterator[str]:
    found, types = file.header(), file.types()
    for key, column in wanted:
        if found.count(column) != 1:
            what = "more than one" if column in found else "no"
            has = f"it has {', '.join(found)}" if found else "it is empty"
            yield f"{key}: {file.name} has {what} column {column!r}; {has}"
        elif column in types and nature(types[column]) not in NATURES.get(key, SINGLE):
            expected = [NAMES[one] for one in NATURES.get(key, SINGLE) if one in NAMES]
            held = str(types[column])
            what = f"{held[:60]}{'...' if len(held) > 60 else ''}"
            told = f"holds {what}, expected {' or '.join(expected)}"
            yield f"{key}: column {column!r} of {file.name} {told}"


def _needed(part: AnyPart) -> list[tuple[str, str]]:
    """(key, column) of the columns in the files; the names of properties are none."""
    if isinstance(part, ItemColumns) and part.properties is not None:
        return [
            ("item_id", part.item_id),
            *(("properties", c) for _, c in columns(part.properties)),
        ]
    return list(columns(part))
