"""The items' contents on disk: the inputs of encoders, and a hash of each value.

One row per item of the catalogue. A modality's hash changes when its value does, the state
of a file included; where there is no value, there is no hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalogue import columnar
from headrace.catalogue.item import Content, Dataset, Item
from headrace.errors import DatasetError

Modality = str  # a name in `MODALITIES`

# A text; an encoded picture, sound or film, or the path of its file; a given vector; None where
# there is nothing.
Value = str | bytes | Path | Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a modality's values: where an item has them, and the columns that hold them."""

    columns: Mapping[str, pa.DataType]  # by the suffix to the modality's name; a path has its own
    take: Callable[[Item, Content, Modality], Value]


def _text(item: Item, content: Content, _: Modality) -> Value:
    parts = item.title, ", ".join(item.categories), content.description
    return ". ".join(filter(None, parts)) or None


def _file(_: Item, content: Content, modality: Modality) -> Value:
    return content.files.get(modality)


def _vector(_: Item, content: Content, __: Modality) -> Value:
    return content.vector


TEXT: Final = Form({"": pa.string()}, _text)
FILE: Final = Form({"": pa.binary(), "_path": pa.string()}, _file)
VECTOR: Final = Form({"": pa.list_(pa.float32())}, _vector)

MODALITIES: Final[Mapping[Modality, Form]] = {
    "text": TEXT,
    "image": FILE,
    "audio": FILE,
    "video": FILE,
    "vector": VECTOR,
}
FILES: Final = tuple(name for name, form in MODALITIES.items() if form is FILE)

CONTENT_FILE: Final = "content.parquet"
VECTOR_WIDTH: Final = "vector_width"  # in the file's metadata
SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        *((f"{m}{end}", kind) for m in MODALITIES for end, kind in MODALITIES[m].columns.items()),
        *((f"{modality}_hash", pa.int64()) for modality in MODALITIES),
    ]
)


def write_content(dataset: Dataset, folder: Path) -> None:
    """Writes the content of the dataset's items, in one pass and a small memory."""
    widths: Counter[int] = Counter()
    rows = _rows(dataset)
    with columnar.replacing(folder / CONTENT_FILE, SCHEMA) as writer:
        while part := list(islice(rows, columnar.BATCH_ROWS)):
            widths.update(len(row["vector"]) for row in part if row.get("vector") is not None)
            writer.write_table(pa.Table.from_pylist(part, SCHEMA))
        usual = widths.most_common(1)
        writer.add_key_value_metadata({VECTOR_WIDTH: str(usual[0][0] if usual else 0)})


def read_hashes(folder: Path, modality: Modality) -> dict[str, int | None]:
    """The hash of each item's value, None where it has none, in the file's order."""
    columns = ["item_id", f"{modality}_hash"]
    return dict(columnar.rows(_read(folder, columns)))


def vector_width(folder: Path) -> int:
    """The width that most of the given vectors have; 0 where there are none."""
    _read(folder, ["item_id"])
    metadata = pq.read_metadata(folder / CONTENT_FILE).metadata
    return int(metadata[VECTOR_WIDTH.encode()])


def columns(modality: Modality) -> list[str]:
    """The columns that hold the values of a modality."""
    return [f"{modality}{suffix}" for suffix in MODALITIES[modality].columns]


def values(table: pa.Table, modality: Modality) -> list[Value]:
    """The values of a modality in rows of the file, as encoders take them."""
    parts = [table.column(name).to_pylist() for name in columns(modality)]
    return [next((one for one in row if one is not None), None) for row in zip(*parts, strict=True)]


def _read(folder: Path, names: Sequence[str]) -> pa.Table:
    try:
        return columnar.read_parquet(folder / CONTENT_FILE, names).select(list(names))
    except DatasetError as error:
        remedy = "run `headrace materialize --data ...` first"
        raise DatasetError(f"no usable catalogue: {error}: {remedy}") from None


def _rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """A row per item; those that `contents()` does not name come last."""
    left = {item.item_id: item for item in dataset.items}
    for content in dataset.contents():
        item = left.pop(content.item_id, None)
        if item is not None:
            yield _row(item, content)
    for item in left.values():
        yield _row(item, Content(item.item_id))


def _row(item: Item, content: Content) -> dict[str, Any]:
    row: dict[str, Any] = {"item_id": item.item_id}
    for modality, form in MODALITIES.items():
        value = form.take(item, content, modality)
        if value is None:
            continue
        if isinstance(value, Path):
            row[f"{modality}_path"] = str(value.absolute())
        else:
            row[modality] = value
        row[f"{modality}_hash"] = value_hash(value)
    return row


def value_hash(value: str | bytes | Path | Sequence[float]) -> int:
    """The hash of a modality's value."""
    return _hash(_payload(value))


def _payload(value: str | bytes | Path | Sequence[float]) -> bytes:
    """The bytes that change when the value does."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, Path):
        return _file_state(value)
    return value if isinstance(value, bytes) else np.array(value, dtype=np.float32).tobytes()


def _file_state(path: Path) -> bytes:
    """A fingerprint of a file, without reading it: its path, size and modification time."""
    try:
        state = path.stat()
    except OSError:
        return f"{path} is not there".encode()
    return f"{path} {state.st_size} {state.st_mtime_ns}".encode()


def _hash(payload: bytes) -> int:
    return int.from_bytes(blake2b(payload, digest_size=8).digest(), "big", signed=True)
