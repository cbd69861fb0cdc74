"""Reads a user's CSV, TSV or Parquet file row by row; a row that cannot be read is a `BadRow`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO, TypeVar

import pyarrow as pa

from headrace.catalogue import columnar
from headrace.catalogue.item import BadRow
from headrace.errors import DatasetError

T = TypeVar("T")
DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
WHOLE_ROW: Final = "(row)"  # stands for the column where the row itself is broken


class RowError(Exception):
    """One row that cannot be used, and the column at fault."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


class Row(NamedTuple):
    """The cells of one row by column: text from CSV, typed values from Parquet."""

    line: int  # 1 is the first data row after the header
    cells: dict[str, Any]

    def value(self, column: str, parse: Callable[[Any], T]) -> T:
        """The parsed cell; a cell that `parse` refuses raises `RowError`."""
        try:
            return parse(self.cells[column])
        except (ValueError, OverflowError) as error:
            raise RowError(column, str(error)) from None


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of the user's; its unusable rows are collected in `bad_rows`."""

    path: Path
    bad_rows: list[BadRow] = field(default_factory=list)

    def header(self) -> list[str]:
        """The column names."""
        if self.path.suffix == ".parquet":
            return columnar.column_names(self.path)
        with _open(self.path) as file:
            try:
                names: list[str] = next(_reader(self.path, file), [])
            except csv.Error as error:
                raise DatasetError(f"{self.path}: the header cannot be read: {error}") from None
        if _undecodable(names, names):
            raise DatasetError(f"{self.path}: the header is not UTF-8: save the file as UTF-8")
        return names

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Every readable row with its cells in `columns`, which must be in the header.

        Raises `DatasetError` when the file as a whole cannot be read to its end.
        """
        wanted = list(dict.fromkeys(columns))
        if self.path.suffix == ".parquet":
            return _parquet_rows(self.path, wanted)
        return self._text_rows(wanted)

    def reject(self, line: int, error: RowError) -> None:
        """Records that the row on this line cannot be used."""
        self.bad_rows.append(BadRow(self.path.name, line, error.column, str(error)))

    def _text_rows(self, columns: list[str]) -> Iterator[Row]:
        with _open(self.path) as file:
            reader = _reader(self.path, file)
            names = next(reader)
            index = [(column, names.index(column)) for column in columns]
            line = 0
            while True:
                first = reader.line_num + 1
                line += 1  # a blank line counts too, so that numbers agree with an editor's
                try:
                    cells = next(reader)
                    if cells:
                        _check_cells(names, cells)
                except StopIteration:
                    return
                except csv.Error as error:
                    self.reject(line, _broken(self.path, first, reader.line_num, error))
                except RowError as error:
                    self.reject(line, error)
                else:
                    if cells:
                        yield Row(line, {column: cells[at] for column, at in index})


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[Row]:
    line = 0
    for batch in columnar.batches(path, columns):
        for cells in _python_rows(batch.select(columns), path):
            line += 1
            yield Row(line, dict(zip(columns, cells, strict=True)))


def _python_rows(batch: pa.RecordBatch, path: Path) -> list[tuple[Any, ...]]:
    try:
        return list(columnar.rows(batch))
    except (ValueError, OverflowError, pa.ArrowException) as error:  # a time no Python value holds
        raise DatasetError(f"{path}: a value cannot be read: {error}") from None


def _open(path: Path) -> TextIO:
    try:
        # Bytes that are not UTF-8 survive as surrogates and make one bad row, not a lost file.
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None


def _reader(path: Path, file: TextIO) -> Any:
    return csv.reader(file, delimiter=DELIMITERS[path.suffix], strict=True)


def _check_cells(names: list[str], cells: list[str]) -> None:
    if len(cells) != len(names):
        raise RowError(WHOLE_ROW, f"{len(cells)} values, the header has {len(names)}")
    if column := _undecodable(names, cells):
        raise RowError(column, "not UTF-8 text")


def _broken(path: Path, first: int, last: int, error: csv.Error) -> RowError:
    """The row's error, unless a quote that is never closed has swallowed the rest of the file."""
    if "unexpected end of data" in str(error):
        raise DatasetError(f"{path}: the quote opened on line {first} is never closed: close it")
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    return RowError(WHOLE_ROW, f"{where} of the file: {error}")


def _undecodable(names: list[str], cells: list[str]) -> str:
    """The first column whose text was not UTF-8, or nothing."""
    if "".join(cells).isascii():
        return ""
    for name, cell in zip(names, cells, strict=True):
        if any("\udc80" <= character <= "\udcff" for character in cell):
            return name or WHOLE_ROW
    return ""
