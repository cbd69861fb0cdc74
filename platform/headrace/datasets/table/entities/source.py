"""The rows of a catalogue's part: files and joins in, rows with their ids out, each id once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.catalogue.content import FILES
from headrace.datasets.table.bad_rows import Fault
from headrace.datasets.table.cells.cell import text
from headrace.datasets.table.cells.column import Parsed, each, ids, readable
from headrace.datasets.table.entities.properties import Pivot
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.joins import Joins
from headrace.datasets.table.files.open import TableFile, find
from headrace.datasets.table.guess import NULL_WORDS
from headrace.datasets.table.log.fields import refuse
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import ItemColumns, UserColumns, columns


class Row(NamedTuple):
    """The id of an item or user, and its cells by column, as Python values."""

    id: str
    cells: dict[str, Any]


class Source:
    """The rows of one part. Rows that cannot be used are counted in the tally, once a pass."""

    def __init__(
        self,
        folder: Path,
        part: ItemColumns | UserColumns,
        tally: Tally,
        parsers: Mapping[str, Callable[[pa.Array], Parsed]] = {},
    ) -> None:
        self._part, self._tally, self._parsers = part, tally, parsers
        self._id_column = part.item_id if isinstance(part, ItemColumns) else part.user_id
        self._files = find(folder, part.file, part.format)
        self._joins = Joins(folder, part.joins, tally.bad)
        self._columns = [column for key, column in columns(part) if key != "properties"]
        self._media = {column for key, column in columns(part) if key in FILES}

    def rows(self) -> Iterator[Row]:
        """Each row with its id. Of several with an id one counts, as `distinct` says; without it
        the first does, and the others are bad rows."""
        last = self._last_places() if self._part.distinct == "last" else None
        seen: dict[str, tuple[str, int]] = {}
        for file, chunk, id_N in self._chunks(self._tally):
            names = id_N.to_pylist()
            if self._part.distinct is None:
                places = self._first_places(file, chunk, names, seen)
            elif last is not None:
                places = [n for n in _ends(id_N) if last[names[n]] == (file.name, _line(chunk, n))]
            else:
                places = [n for n in _starts(id_N) if names[n] not in seen]
                seen |= {names[n]: (file.name, _line(chunk, n)) for n in places}
            taken = pa.array(places, pa.int64())
            cells = {name: _values(column.take(taken)) for name, column in chunk.columns.items()}
            self._count_null_words(file, cells)
            for number, place in enumerate(places):
                yield Row(names[place], {name: values[number] for name, values in cells.items()})

    def _chunks(self, tally: Tally) -> Iterator[tuple[TableFile, Chunk, pa.Array]]:
        """The chunks of good rows with their ids."""
        wanted = self._joins.sources(self._columns)
        for file, chunk in self._read(wanted, tally):
            joined = self._joins.joined(chunk)
            parsed = ids(joined.columns[self._id_column])
            checked = [(self._id_column, parsed)]
            for name, cells in joined.columns.items():
                if name in self._parsers:
                    checked.append((name, self._parsers[name](cells)))
                elif name not in self._media and pa.types.is_binary(readable(cells).type):
                    checked.append((name, each(cells, text, str)))
            good_N = refuse(checked, chunk.line_N, file.name, tally.bad)
            kept = joined.keep(good_N)
            if len(kept):
                yield file, kept, parsed.value_N.filter(pa.array(good_N))

    def _read(self, wanted: list[str], tally: Tally) -> Iterator[tuple[TableFile, Chunk]]:
        part = self._part
        if isinstance(part, ItemColumns) and part.properties is not None:
            names = [name for name in wanted if name != part.item_id]
            yield from Pivot(part.item_id, part.properties, names, tally).chunks(self._files)
            return
        for file in self._files:
            for chunk in tally.chunks(file, wanted):
                yield file, chunk

    def _first_places(
        self, file: TableFile, chunk: Chunk, names: Sequence[str], seen: dict[str, tuple[str, int]]
    ) -> list[int]:
        places = []
        for place, name in enumerate(names):
            line = _line(chunk, place)
            if name in seen:
                other, at = seen[name]
                where = f"line {at}" if other == file.name else f"line {at} of {other}"
                fault = Fault("there already", f"{name!r} is already on {where}")
                self._tally.bad.add(file.name, line, self._id_column, fault)
            else:
                seen[name] = file.name, line
                places.append(place)
        return places

    def _last_places(self) -> dict[str, tuple[str, int]]:
        """The file and line of the last row of each id."""
        places: dict[str, tuple[str, int]] = {}
        for file, chunk, id_N in self._chunks(Tally()):
            names = id_N.to_pylist()
            places |= {names[n]: (file.name, _line(chunk, n)) for n in _ends(id_N)}
        return places

    def _count_null_words(self, file: TableFile, cells: dict[str, list[Any]]) -> None:
        for name, values in cells.items():
            words = sum(
                isinstance(one, str) and one.strip().lower() in NULL_WORDS for one in values
            )
            if words:
                self._tally.null_words[f"{file.name}: {name}"] += words


def _values(cells: pa.Array) -> list[Any]:
    """The cells in Python; times as texts, since Python does not hold all of them."""
    is_time = pa.types.is_temporal(cells.type)
    values: list[Any] = (cells.cast(pa.string()) if is_time else cells).to_pylist()
    return values


def _line(chunk: Chunk, place: int) -> int:
    return int(chunk.line_N[place])


def _starts(id_N: pa.Array) -> list[int]:
    """The first place of each id."""
    code_N = id_N.dictionary_encode().indices.to_numpy()
    return sorted(np.unique(code_N, return_index=True)[1].tolist())


def _ends(id_N: pa.Array) -> list[int]:
    """The last place of each id."""
    code_N = id_N.dictionary_encode().indices.to_numpy()[::-1]
    return sorted((len(code_N) - 1 - np.unique(code_N, return_index=True)[1]).tolist())
