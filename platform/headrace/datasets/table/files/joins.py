"""Joins: columns of further files, held in memory and found by a key, added to each chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.cells.column import ids
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.open import TableFile, find
from headrace.datasets.table.keys.values import Join


@dataclass(frozen=True, slots=True)
class Side:
    """The side of a join that is in memory: columns by name, and the key of each row as text."""

    ours: str  # the column of the rows that holds the key
    key: pa.Array
    columns: dict[str, pa.Array]


class Joins:
    """The joins of one part of the mapping, one after another: a key may be a column of an earlier
    one. Of several rows with a key the first counts; a key without one gives empty cells."""

    def __init__(self, folder: Path, joins: Sequence[Join], bad: BadRows) -> None:
        self._sides = [_read(folder, join, bad) for join in joins]

    def sources(self, columns: Sequence[str]) -> list[str]:
        """The columns that must come from the rows themselves, so that these are there."""
        wanted = dict.fromkeys(columns)
        for side in reversed(self._sides):
            if side.columns.keys() & wanted.keys():
                wanted = {name: None for name in wanted if name not in side.columns}
                wanted[side.ours] = None
        return list(wanted)

    def joined(self, chunk: Chunk) -> Chunk:
        """The chunk with the columns of all sides."""
        columns = dict(chunk.columns)
        for side in self._sides:
            if side.ours in columns:
                row = pc.index_in(ids(columns[side.ours]).value_N, value_set=side.key)
                columns |= {name: cells.take(row) for name, cells in side.columns.items()}
        return Chunk(columns, chunk.line_N)


def misfits(folder: Path, joins: Sequence[Join]) -> Iterator[tuple[str, str]]:
    """(path of the key, problem) of each file and column that joins name in vain."""
    for place, join in enumerate(joins):
        for file in find(folder, join.file, join.format):
            if not file.path.is_file():
                yield f"joins[{place}].file", f"there is no file {file.path}"
                continue
            found = file.header()
            for column in (key_of(join)[1], *join.columns):
                if column not in found:
                    yield f"joins[{place}]", f"{file.name} has no column {column!r}"


def key_of(join: Join) -> tuple[str, str]:
    """The key's column in our rows, and in the file."""
    return (join.on, join.on) if isinstance(join.on, str) else next(iter(join.on.items()))


def _read(folder: Path, join: Join, bad: BadRows) -> Side:
    ours, theirs = key_of(join)
    names = [theirs, *join.columns]
    parts: dict[str, list[pa.Array]] = {name: [] for name in names}
    for chunk in _chunks(find(folder, join.file, join.format), names, bad):
        for name in parts:
            parts[name].append(chunk.columns[name])
    whole = {name: _whole(cells) for name, cells in parts.items()}
    return Side(ours, ids(whole[theirs]).value_N, {name: whole[name] for name in join.columns})


def _chunks(files: Sequence[TableFile], names: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
    for file in files:
        yield from file.chunks(names, bad)


def _whole(parts: Sequence[pa.Array]) -> pa.Array:
    """One array of all; as text where their types differ."""
    if len({part.type for part in parts}) > 1:
        parts = [part.cast(pa.string()) for part in parts]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())
