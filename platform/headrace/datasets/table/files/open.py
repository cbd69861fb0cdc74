"""The files that a mapping names: names, globs and folders, each file with its layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.json_lines import JsonLinesFile
from headrace.datasets.table.files.layout import TABS, Kind, Layout, inner_suffix, kind_of
from headrace.datasets.table.files.parquet import ParquetFile
from headrace.datasets.table.files.text import TextFile
from headrace.datasets.table.keys.values import Format

GLOB: Final = frozenset("*?[")


class Reader(Protocol):
    """A way to read one kind of file; made of its path, its name in reports, and its layout."""

    def header(self) -> list[str]:
        """The names of the columns."""
        ...

    def chunks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        """Every row that is one with its cells in these columns; the others go to `bad`."""
        ...


@dataclass(frozen=True, slots=True)
class TableFile:
    """One of the user's files; `name` is its path from the folder of the mapping."""

    path: Path
    name: str
    layout: Layout
    nulls: tuple[str, ...] = ()  # words that stand for no value
    partition: tuple[tuple[str, str], ...] = ()  # columns that the names of its folders tell

    @property
    def reader(self) -> Reader:
        """The reader of its kind."""
        return READERS[self.layout.kind](self.path, self.name, self.layout)

    def header(self) -> list[str]:
        """The names of its columns, those of its folders last."""
        names = self.reader.header()
        return [*names, *(name for name, _ in self.partition if name not in names)]

    def types(self) -> dict[str, pa.DataType]:
        """The types of its columns, where the file tells them."""
        reader = self.reader
        return reader.types() if isinstance(reader, ParquetFile) else {}

    def chunks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        """Every row with its cells in these columns, which must be in the header."""
        wanted = list(dict.fromkeys(columns))
        told = {name: value for name, value in self.partition if name in wanted}
        if told:
            told = {name: value for name, value in told.items() if name not in self.reader.header()}
        read = [column for column in wanted if column not in told]
        for chunk in self.reader.chunks(read, bad):
            cells = {name: self._without_nulls(column) for name, column in chunk.columns.items()}
            for name, value in told.items():
                cells[name] = pa.repeat(pa.scalar(value, pa.string()), len(chunk))
            yield Chunk(cells, chunk.line_N)

    def _without_nulls(self, cells: pa.Array) -> pa.Array:
        if not self.nulls or not pa.types.is_string(cells.type):
            return cells
        is_null = pc.is_in(cells, pa.array(self.nulls, pa.string()))
        return pc.if_else(is_null, pa.scalar(None, pa.string()), cells)


READERS: Final[dict[Kind, Callable[[Path, str, Layout], Reader]]] = {
    "text": TextFile,
    "jsonl": JsonLinesFile,
    "parquet": ParquetFile,
}


def find(folder: Path, files: str | Sequence[str], given: Format | None) -> list[TableFile]:
    """The files that these names, globs and folders mean, each once, in the order of their names.

    A name that means no file is taken as it is: whoever reads it says that it is not there.
    """
    names = [files] if isinstance(files, str) else list(files)
    paths = dict.fromkeys(path for name in names for path in _paths(folder, name))
    return [_table_file(folder, path, given or Format()) for path in paths]


def _paths(folder: Path, name: str) -> list[Path]:
    if set(name) & GLOB and not (folder / name).exists():
        found = [path for path in folder.glob(name) if path.is_file() and path.name[0] != "."]
    elif (folder / name).is_dir():
        found = [path for path in (folder / name).rglob("*") if _is_data(path, folder / name)]
    else:
        found = [folder / name]
    return sorted(found)


def _is_data(path: Path, folder: Path) -> bool:
    """Whether a file in a folder is one of rows: not a mark, a check sum or a log of a writer."""
    hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and kind_of(path) is not None


def _table_file(folder: Path, path: Path, given: Format) -> TableFile:
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    steps = [part.partition("=") for part in Path(name).parent.parts]
    partition = tuple((key, value) for key, sign, value in steps if sign)
    return TableFile(path, name, layout_of(path, given), given.null_words, partition)


def layout_of(path: Path, given: Format) -> Layout:
    """The layout of a file: as given, else as its name tells."""
    suffix = inner_suffix(path)
    delimiter = given.delimiter or ("\t" if suffix in TABS else ",")
    is_tabs = delimiter == "\t" and suffix != ".csv"
    quoting = given.quoting or ("none" if is_tabs else "standard")
    return Layout(
        kind=kind_of(path) or "text",
        delimiter=delimiter,
        encoding=given.encoding or "utf-8",
        quoting=quoting == "standard",
        header=not given.columns if given.header is None else given.header,
        names=given.columns,
    )
