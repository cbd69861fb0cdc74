"""Reads JSON lines: an object a line, its keys the columns; a line that is none is a bad row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from headrace.datasets.table.bad_rows import WHOLE_ROW, BadRows, Fault
from headrace.datasets.table.files import stream
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.layout import Layout
from headrace.datasets.table.files.typed import from_python


class JsonLinesFile:
    """A file of JSON lines; `name` is what bad rows call it."""

    def __init__(self, path: Path, name: str, layout: Layout) -> None:
        self._path, self._name, self._layout = path, name, layout

    def header(self) -> list[str]:
        """The keys of the objects at the beginning of the file; others may come later."""
        keys: dict[str, None] = {}
        first = next(stream.lines(self._path, self._layout.encoding), b"")
        for line in first.splitlines():
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            keys |= dict.fromkeys(row if isinstance(row, dict) else ())
        return list(keys)

    def chunks(self, columns: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        """Every row with its cells in these columns, null where the object has no such key."""
        decoder = msgspec.json.Decoder(_struct_of(columns))
        line = 1
        for block in stream.lines(self._path, self._layout.encoding):
            rows: list[Any] = []
            places: list[int] = []
            lines = block.split(b"\n")
            lines = lines if lines[-1] else lines[:-1]
            for place, text in enumerate(lines):
                if not text or text.isspace():
                    continue
                try:
                    rows.append(decoder.decode(text))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    fault = Fault("expected a JSON object", f"expected a JSON object: {error}")
                    bad.add(self._name, line + place, WHOLE_ROW, fault)
                else:
                    places.append(place)
            if rows:
                cells = {
                    column: from_python([getattr(row, field) for row in rows])
                    for column, field in _fields(columns)
                }
                yield Chunk(cells, line + np.array(places, np.int64))
            line += len(lines)


def _struct_of(columns: Sequence[str]) -> type[msgspec.Struct]:
    fields = [(field, Any, None) for _, field in _fields(columns)]
    names = {field: column for column, field in _fields(columns)}
    return msgspec.defstruct("Row", fields, rename=names)


def _fields(columns: Sequence[str]) -> list[tuple[str, str]]:
    return [(column, f"field_{place}") for place, column in enumerate(columns)]
