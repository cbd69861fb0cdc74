"""The layout of a user's file: its kind, compression and dialect, by its name and what is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Kind = Literal["text", "jsonl", "parquet"]
COMPRESSIONS: Final = (".gz", ".zst", ".bz2", ".lz4")
KINDS: Final[dict[str, Kind]] = {
    ".csv": "text",
    ".tsv": "text",
    ".tab": "text",
    ".txt": "text",
    ".dat": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
TABS: Final = (".tsv", ".tab")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written. The dialect says nothing about Parquet and JSON lines."""

    kind: Kind = "text"
    delimiter: str = ","
    encoding: str = "utf-8"
    quoting: bool = True  # a cell may stand in quotes; without it a quote is a character like any
    header: bool = True  # the first line has the names of the columns
    names: tuple[str, ...] = ()  # instead of those of the header


def kind_of(path: Path) -> Kind | None:
    """The kind of file that the name tells, None where it tells none."""
    return KINDS.get(inner_suffix(path))


def inner_suffix(path: Path) -> str:
    """The last part of the name that does not tell a compression: ".csv" of "a.csv.gz"."""
    inner = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
    return inner.suffix.lower()
