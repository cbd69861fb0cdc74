"""Reads Parquet files batch by batch, whatever wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from headrace.catalogue import columnar
from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.layout import Layout
from headrace.datasets.table.files.typed import nature, simple

BATCH_ROWS: Final = 65_536
HEAVY: Final = ("bytes", "list", "picture")  # natures with cells that may be large


class ParquetFile:
    """A Parquet file."""

    def __init__(self, path: Path, name: str, layout: Layout) -> None:
        self._path = path

    def header(self) -> list[str]:
        """The names of the columns."""
        return columnar.column_names(self._path)

    def types(self) -> dict[str, pa.DataType]:
        """The type of each column."""
        return {field.name: field.type for field in columnar.schema(self._path)}

    def chunks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        """Every row with its cells in these columns."""
        types = self.types()
        is_heavy = any(nature(types[column]) in HEAVY for column in columns)
        rows = columnar.BATCH_ROWS if is_heavy else BATCH_ROWS
        line = 1
        for batch in columnar.batches(self._path, columns, rows):
            cells = {name: simple(batch.column(name)) for name in columns}
            yield Chunk(cells, np.arange(line, line + len(batch), dtype=np.int64))
            line += len(batch)
