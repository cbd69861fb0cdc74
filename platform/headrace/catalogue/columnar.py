"""Reads of published data files as Arrow columns; every failure is a `DatasetError` in one line.

For files whose layout we know; ours are written whole or not at all. A user's own files, where
single rows may be wrong, are read row by row in `table_file.py`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headrace.epoch import MILLISECONDS, mistaken_unit
from headrace.errors import DatasetError

BATCH_ROWS: Final = 1_024  # rows may hold pictures
BUFFER_BYTES: Final = 1 << 20  # of each column


def schema(path: Path) -> pa.Schema:
    """The names and types of a Parquet file's columns."""
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def column_names(path: Path) -> list[str]:
    """The names of a Parquet file's columns."""
    return list(schema(path).names)


def read_parquet(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of a Parquet file."""
    _require(path, column_names(path), columns)
    try:
        return pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def batches(
    path: Path, columns: Sequence[str], num_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """These columns of a Parquet file, a few rows at a time, in the file's order.

    Pages are read one by one, so that memory does not go by the size of a row group. The times that
    Impala and Hive write (INT96) keep years that nanoseconds do not reach.
    """
    _require(path, column_names(path), columns)
    try:
        with pq.ParquetFile(
            path, buffer_size=BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
        ) as file:
            yield from file.iter_batches(batch_size=num_rows, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def read_text(
    name: str, content: bytes, types: Mapping[str, pa.DataType], delimiter: str = ","
) -> pa.Table:
    """The columns named in `types` of a delimited text with a header; `name` is for messages."""
    quote = '"' if delimiter == "," else False  # tab separated files have no quoting
    try:
        return pyarrow.csv.read_csv(
            io.BytesIO(content),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=quote),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict(types), include_columns=list(types)
            ),
        )
    except (KeyError, pa.ArrowException) as error:
        raise _unreadable(Path(name), error) from None


def read_bytes(path: Path) -> bytes:
    """The content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


@contextmanager
def replacing(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A writer of a Parquet file: readers see the old one or all of the new, never a part."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with pq.ParquetWriter(temporary, schema) as writer:
            yield writer
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_complete(columns: pa.Table | pa.RecordBatch, name: str) -> None:
    """Raises `DatasetError` when any of these columns has an empty value."""
    empty = [c for c in columns.schema.names if columns.column(c).null_count]
    if empty:
        raise DatasetError(f"{name}: empty values in {', '.join(empty)}; every row needs them")


def check_times(time_N: NDArray[Any], name: str, column: str, unit: str = MILLISECONDS) -> None:
    """Raises `DatasetError` when these times seem to be in another unit."""
    for time in (int(time_N.min()), int(time_N.max())):
        if found := mistaken_unit(time, unit):
            raise DatasetError(f"{name}: column {column}: expected {unit}, got {time}: {found}?")


def rows(columns: pa.Table | pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples of Python values, in the order of the columns."""
    return zip(*map(_values, columns.columns), strict=True)


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The cells as Python values. Lists are cut out of all their values, which is much faster than
    one Arrow list after the other."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _values(chunk)]
    if not pa.types.is_list(column.type) or column.null_count:
        values: list[Any] = column.to_pylist()
        return values
    every, ends = column.flatten().to_pylist(), column.offsets.to_numpy()
    return [every[start:end] for start, end in pairwise((ends - ends[0]).tolist())]


def _require(path: Path, found: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DatasetError(f"{path}: no column {', '.join(missing)}; it has {', '.join(found)}")


def _unreadable(path: Path, error: Exception) -> DatasetError:
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{path}: no such file")
    return DatasetError(f"{path}: cannot be read: {' '.join(str(error).split())}")
