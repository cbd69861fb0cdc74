"""A look at the beginning of a file: its kind and dialect, its columns, and what their cells are.

What is found here is a guess, for a person to confirm; nothing is loaded by it.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.files.layout import TABS, Kind, Layout, inner_suffix, kind_of
from headrace.datasets.table.files.open import READERS
from headrace.datasets.table.files.stream import Stream
from headrace.datasets.table.guess import ColumnGuess, guess

LOOK_BYTES: Final = 1 << 20
LOOK_ROWS: Final = 1_000
DELIMITERS: Final = (",", "\t", ";", "|", "\x01", "::", ":", " ")
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WELL_FORMED: Final = 0.9  # of the rows have as many cells as most


@dataclass(frozen=True, slots=True)
class FileGuess:
    """A file as it seems to be written, and its columns; `layout` reads it."""

    path: Path
    layout: Layout
    num_rows: int  # that were looked at
    columns: tuple[ColumnGuess, ...]

    def column(self, name: str) -> ColumnGuess | None:
        """The column of this name."""
        return next((column for column in self.columns if column.name == name), None)


def sniff(path: Path) -> FileGuess:
    """Looks at the beginning of a file; raises `DatasetError` where it cannot be read."""
    kind = _kind(path)
    layout = _dialect(path) if kind == "text" else Layout(kind=kind)
    reader = READERS[kind](path, path.name, layout)
    names = reader.header()
    distinct = [name for name in dict.fromkeys(names) if name or names.count(name) == 1]
    chunks = reader.chunks(distinct, BadRows())
    chunk = next(chunks, None) if distinct else None
    num_rows = min(len(chunk), LOOK_ROWS) if chunk else 0
    cells = {name: column[:LOOK_ROWS] for name, column in chunk.columns.items()} if chunk else {}
    guesses = tuple(guess(name, column) for name, column in cells.items())
    return FileGuess(path, layout, num_rows, guesses)


def _kind(path: Path) -> Kind:
    """The kind that the name tells, else the one that the first byte does."""
    with Stream(path, "latin-1") as stream:
        head = stream.read(64).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    named = kind_of(path)
    return named or ("jsonl" if head.startswith(b"{") else "text")


def _dialect(path: Path) -> Layout:
    encoding = _encoding(path)
    with Stream(path, encoding) as stream:
        text = stream.read(LOOK_BYTES).decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    is_cut = len(lines) > 1 and not lines[-1].endswith(("\n", "\r"))
    whole = "".join(lines[: len(lines) - is_cut][:LOOK_ROWS])
    if not whole.strip():
        return Layout(encoding=encoding)
    tries = [
        (delimiter, quoting, _rows(whole, delimiter, quoting))
        for delimiter in DELIMITERS
        for quoting in (True, False)
    ]
    prefers_tabs = inner_suffix(path) in TABS
    delimiter, quoting, rows = max(
        tries, key=lambda one: (_fit(one[2]), (one[0] == "\t") == prefers_tabs, one[1])
    )
    quoting = quoting and not (prefers_tabs and delimiter == "\t")
    return Layout("text", delimiter, encoding, quoting, _has_header(rows))


def _encoding(path: Path) -> str:
    """The encoding that a mark tells; else UTF-8 where the bytes are so, else one of the West."""
    with Stream(path, "latin-1") as stream:
        raw = stream.read(LOOK_BYTES).decode("utf-8").encode("latin-1")
    for mark, encoding in MARKS:
        if raw.startswith(mark):
            return encoding
    for encoding in ("utf-8", "cp1252"):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == "utf-8" and error.start > len(raw) - 4:
                return encoding  # a character that the end of the look cuts
        else:
            return encoding
    return "latin-1"


def _rows(text: str, delimiter: str, quoting: bool) -> list[list[str]]:
    """The rows of a text in this dialect; none where quotes do not fit."""
    one = delimiter if len(delimiter) == 1 else "\x1f"
    file = io.StringIO(text.replace(delimiter, one), newline="")
    rule: Any = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=one, quoting=rule, strict=True)
    try:
        return [row for row in itertools.islice(reader, LOOK_ROWS) if row]
    except csv.Error:
        return []


def _fit(rows: Sequence[Sequence[str]]) -> float:
    """How well rows have one width, more of it being better; columns of nothing do not count."""
    if not rows:
        return -1.0
    width = len(rows[0])  # the header's: no separator within quotes makes it wider
    share = sum(len(row) == width for row in rows) / len(rows)
    filled = sum(any(len(row) > place and row[place] for row in rows) for place in range(width))
    return share * math.log(max(filled, 1)) if share >= WELL_FORMED else 0.0


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: distinct words that are no numbers, times or values."""
    first, others = rows[0], rows[1:]
    if not all(name.strip() for name in first) or len(set(first)) != len(first):
        return False
    if any(guess("", [name]).kind not in ("text", "boolean") for name in first):
        return False
    again = [
        any(place < len(row) and row[place] == name for row in others)
        for place, name in enumerate(first)
    ]
    return not any(again)
