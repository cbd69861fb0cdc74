"""Reads delimited text: any delimiter and encoding, quoted or not, cells of any length.

Blocks of whole rows go to Arrow. Those that Arrow would not read as Python's csv module does go to
that module, which is strict and says where a row is broken.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from headrace.datasets.table.bad_rows import WHOLE_ROW, BadRows, Fault
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.layout import Layout
from headrace.datasets.table.files.quotes import cut
from headrace.datasets.table.files.stream import BLOCK_BYTES, Stream
from headrace.errors import DatasetError

MAX_ROW_BYTES: Final = 256 << 20  # a row beyond it is a quote that is never closed
STAND_IN: Final = "\x1f"  # for a delimiter of several bytes; readers of text take one
ENDLESS: Final = "unexpected end of data"  # csv's words for a quote that is open at the end


class Rows(NamedTuple):
    """The rows of a block: how many, and the cells of the good ones with their place in it."""

    num: int
    place_N: NDArray[np.int64]
    cells: list[pa.Array]  # of each wanted column; as bytes where nobody looked at the encoding
    broken: list[tuple[int, Fault]]
    rest: bytes  # what is no whole row yet


class TextFile:
    """A file of delimited text; `name` is what bad rows call it."""

    def __init__(self, path: Path, name: str, layout: Layout) -> None:
        self._path, self._name, self._layout = path, name, layout
        self._long = layout.delimiter.encode() if len(layout.delimiter.encode()) > 1 else b""
        self._delimiter = STAND_IN if self._long else layout.delimiter
        csv.field_size_limit(sys.maxsize)

    def header(self) -> list[str]:
        """The names of the columns: as given, as in the first row, or "1", "2" … by number."""
        with Stream(self._path, self._layout.encoding) as stream:
            return self._begin(stream)[0]

    def chunks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        """Every row with its cells in these columns; rows that are broken go to `bad`.

        Raises `DatasetError` when the file as a whole cannot be read to its end.
        """
        with Stream(self._path, self._layout.encoding) as stream:
            names, block = self._begin(stream)
            wanted = [names.index(column) for column in columns]
            line, physical, is_last = 1, 1 + self._layout.header, False
            while not is_last:
                more = stream.read(max(BLOCK_BYTES, len(block)))
                block, is_last = self._joined(block, more), not more
                whole = cut(block, self._delimiter.encode(), self._layout.quoting, is_last)
                if whole.is_plain and whole.size:
                    rows = self._by_arrow(block, whole.size, len(names), wanted)
                else:
                    rows = self._by_csv(block, whole.size, len(names), wanted, physical)
                if rows.rest and (is_last or len(rows.rest) > MAX_ROW_BYTES):
                    raise self._endless(physical + block.count(b"\n") - rows.rest.count(b"\n"))
                for place, fault in rows.broken:
                    bad.add(self._name, line + place, WHOLE_ROW, fault)
                if len(rows.place_N):
                    cells = dict(zip(columns, rows.cells, strict=True))
                    yield self._decoded(Chunk(cells, line + rows.place_N), stream.encoding, bad)
                line += rows.num
                physical += block.count(b"\n") - rows.rest.count(b"\n")
                block = rows.rest

    def _begin(self, stream: Stream) -> tuple[list[str], bytes]:
        """The names of the columns, and the first block without them."""
        block, is_last = b"", False
        while not is_last:
            more = stream.read(max(BLOCK_BYTES, len(block)))
            block, is_last = self._joined(block, more), not more
            text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
            try:
                first: list[str] = next((cells for cells in self._reader(text) if cells), [])
            except csv.Error as error:
                if ENDLESS in str(error) and not is_last and len(block) < MAX_ROW_BYTES:
                    continue
                raise self._bad_header(str(error)) from None
            rest = text.read().encode("utf-8", "surrogateescape")
            if first and (rest or block.endswith(b"\n")) or is_last:
                break
        names = self._names(first, stream.encoding)
        return names, rest if self._layout.header else block

    def _names(self, first: list[str], encoding: str) -> list[str]:
        if self._layout.names:
            if len(first) != len(self._layout.names):
                given = f"{len(self._layout.names)} names are given for {len(first)} columns"
                raise DatasetError(f"{self._path}: {given}: name each column")
            return list(self._layout.names)
        if not self._layout.header:
            return [str(number) for number in range(1, len(first) + 1)]
        if any("\udc80" <= character <= "\udcff" for name in first for character in name):
            told = "save the file as UTF-8, or say its encoding"
            raise DatasetError(f"{self._path}: the header is not {encoding.upper()}: {told}")
        return first

    def _joined(self, rest: bytes, more: bytes) -> bytes:
        block = rest + more
        return block.replace(self._long, STAND_IN.encode()) if self._long else block

    def _reader(self, text: Iterable[str]) -> Any:
        if self._layout.quoting:
            return csv.reader(text, delimiter=self._delimiter, strict=True)
        return csv.reader(text, delimiter=self._delimiter, quoting=csv.QUOTE_NONE, quotechar=None)

    def _by_arrow(self, block: bytes, size: int, width: int, wanted: list[int]) -> Rows:
        names = [str(number) for number in range(width)]
        chosen = [names[place] for place in wanted]
        broken: list[tuple[int, Fault]] = []

        def skip(row: pyarrow.csv.InvalidRow) -> str:
            broken.append((row.number - 1, _uneven(row.actual_columns, row.expected_columns)))
            return "skip"

        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(block).slice(0, size)),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=size + 1
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self._delimiter,
                quote_char='"' if self._layout.quoting else False,
                newlines_in_values=self._layout.quoting,
                invalid_row_handler=skip,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(chosen, pa.binary()), include_columns=chosen
            ),
        )
        num = len(table) + len(broken)
        place_N = np.delete(np.arange(num), [place for place, _ in broken])
        cells = [_whole(table.column(name)) for name in chosen]
        return Rows(num, place_N, cells, broken, block[size:])

    def _by_csv(self, block: bytes, size: int, width: int, wanted: list[int], line: int) -> Rows:
        text = io.StringIO(block[:size].decode("utf-8", "surrogateescape"), newline="")
        lines = list(text)
        reader = self._reader(lines)
        places, kept, broken, num = [], [], [], 0
        while True:
            first = reader.line_num
            try:
                cells = next(reader)
            except StopIteration:
                rest = ""
                break
            except csv.Error as error:
                if ENDLESS in str(error):
                    rest = "".join(lines[first:])
                    break
                span = f"lines {line + first} to {line + reader.line_num - 1} of the file"
                broken.append((num, Fault(str(error), f"{span}: {error}")))
            else:
                if len(cells) == width:
                    places.append(num)
                    kept.append(cells)
                elif cells:  # a blank line is no row, but it counts, so that numbers agree
                    broken.append((num, _uneven(len(cells), width)))
            num += 1
        columns = [_as_bytes([cells[place] for cells in kept]) for place in wanted]
        place_N = np.array(places, np.int64)
        left = rest.encode("utf-8", "surrogateescape") + block[size:]
        return Rows(num, place_N, columns, broken, left)

    def _decoded(self, chunk: Chunk, encoding: str, bad: BadRows) -> Chunk:
        """The chunk with its cells as text; a row with a cell that is none goes to `bad`."""
        is_text_N = np.ones(len(chunk), np.bool_)
        for name, cells in chunk.columns.items():
            for place in _undecodable(cells):
                if is_text_N[place]:
                    fault = Fault(f"not {encoding.upper()} text")
                    bad.add(self._name, int(chunk.line_N[place]), name, fault)
                    is_text_N[place] = False
        kept = chunk.keep(is_text_N)
        texts = {name: cells.cast(pa.string()) for name, cells in kept.columns.items()}
        if self._long:
            restored = (STAND_IN, self._layout.delimiter)
            texts = {name: pc.replace_substring(cells, *restored) for name, cells in texts.items()}
        return Chunk(texts, kept.line_N)

    def _bad_header(self, reason: str) -> DatasetError:
        return DatasetError(f"{self._path}: the header cannot be read: {reason}")

    def _endless(self, line: int) -> DatasetError:
        opened = f"the quote opened on line {line} is never closed"
        return DatasetError(f"{self._path}: {opened}: close it, or say `quoting: none`")


def _uneven(found: int, expected: int) -> Fault:
    return Fault("another number of values", f"{found} values, the header has {expected}")


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _as_bytes(cells: list[str]) -> pa.Array:
    return pa.array([cell.encode("utf-8", "surrogateescape") for cell in cells], pa.binary())


def _undecodable(cells: pa.Array) -> list[int]:
    try:
        cells.cast(pa.string())
    except pa.ArrowInvalid:
        return [place for place, cell in enumerate(cells.to_pylist()) if not _is_text(cell)]
    return []


def _is_text(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True
