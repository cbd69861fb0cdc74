"""Content vectors on disk: per item one vector of one encoder, versions apart from each other.

A version is a folder, `<root>/<encoder>/<version>`, and `<encoder>/<version>` is its name wherever
one has to be named. While items are encoded, finished rows lie beside the table in parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace.catalogue import columnar
from headrace.errors import DatasetError

TABLE_FILE: Final = "vectors.parquet"
FORMER_FOLDER: Final = "tokens"  # beside the root, until the tables were called vectors
FORMER_FILE: Final = "tokens.parquet"
SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("content_hash", pa.int64()),  # of what was encoded
        ("vector", pa.list_(pa.float32())),  # null: there is none
        ("problem", pa.string()),  # why there is none
    ]
)


class VectorTable:
    """The content vectors of one version; a reader sees those of the last finished run."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.folder = root / name
        self._path = self.folder / TABLE_FILE

    def encoded(self) -> dict[str, int]:
        """By item, the hash of the content that was encoded last, unfinished runs included."""
        found: dict[str, int] = {}
        for batch in self._batches():
            found |= dict(columnar.rows(batch.select(["item_id", "content_hash"])))
        return found

    def append(self, rows: pa.Table) -> None:
        """Keeps rows of `SCHEMA` for good; they are in the table after `finish`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((_number(part) for part in self._parts()), default=0)
        part = self.folder / f"part-{number:08}-{os.getpid()}.parquet"
        with columnar.replacing(part, SCHEMA) as writer:
            writer.write_table(rows)

    def finish(self, content_hashes: Mapping[str, int | None]) -> None:
        """Makes the table anew: one row for each item whose content is still the one encoded."""
        parts = self._parts()
        left = dict(content_hashes)
        self.folder.mkdir(parents=True, exist_ok=True)
        with columnar.replacing(self._path, SCHEMA) as writer:
            for batch in self._batches():
                keep = [
                    left.get(item_id) == content_hash and left.pop(item_id) is not None
                    for item_id, content_hash in columnar.rows(
                        batch.select(["item_id", "content_hash"])
                    )
                ]
                writer.write_batch(batch.filter(pa.array(keep, pa.bool_())))
        for part in parts:
            part.unlink()

    def read(self) -> pa.Table:
        """The rows of the last finished run; raises `DatasetError` when there was none."""
        if not self._path.exists():
            root = self.folder.parents[1]
            known = ", ".join(available(root)) or "none"
            raise DatasetError(
                f"no content vectors {self.name!r} in {root}, there are: {known}; "
                "run `headrace encode`"
            )
        return columnar.read_parquet(self._path, SCHEMA.names)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of the table and of the parts, later ones last."""
        files = [self._path] if self._path.exists() else []
        for path in [*files, *self._parts()]:
            for batch in columnar.batches(path, SCHEMA.names):
                yield batch.select(SCHEMA.names)

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"), key=_number)


def _number(part: Path) -> int:
    return int(part.name.split("-")[1])


def available(root: Path) -> list[str]:
    """The names of the finished tables."""
    tables = root.glob(f"*/*/{TABLE_FILE}")
    return sorted(path.parent.relative_to(root).as_posix() for path in tables)


def take_over(root: Path) -> None:
    """Moves the tables that an earlier headrace left in `tokens` beside `root` to `root`.

    A move that was broken off goes on the next time; processes that do it at once do it once.
    """
    former = root.with_name(FORMER_FOLDER)
    for folder in sorted(former.glob("*/*/")):
        moved = root / folder.relative_to(former)
        if moved.exists():
            continue
        try:
            moved.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(moved)
        except FileNotFoundError:
            continue  # another process has just moved it
        except OSError as error:
            raise DatasetError(
                f"the vector tables in {former} must lie in {root} and cannot be moved: {error}; "
                "move the folder by hand"
            ) from None
    for table in root.glob(f"*/*/{FORMER_FILE}"):
        with suppress(FileNotFoundError):  # as before
            table.rename(table.with_name(TABLE_FILE))
