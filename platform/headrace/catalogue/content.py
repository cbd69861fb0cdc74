"""The items' contents on disk: the inputs of encoders, and a hash of each value.

One row per item of the catalogue. A modality's hash changes when its value does, a picture's file
included; where there is no value, there is no hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalogue import columnar
from headrace.catalogue.item import Content, Dataset, Item
from headrace.errors import DatasetError

Modality = Literal["text", "image", "vector"]
MODALITIES: Final[tuple[Modality, ...]] = ("text", "image", "vector")

# A text; an encoded picture or the path of its file; a given vector; None where there is nothing.
Value = str | bytes | Path | Sequence[float] | None

CONTENT_FILE: Final = "content.parquet"
VECTOR_WIDTH: Final = "vector_width"  # in the file's metadata
SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("text", pa.string()),
        ("image", pa.binary()),
        ("image_path", pa.string()),
        ("vector", pa.list_(pa.float32())),
        *((f"{modality}_hash", pa.int64()) for modality in MODALITIES),
    ]
)


def write_content(dataset: Dataset, folder: Path) -> None:
    """Writes the content of the dataset's items, in one pass and a small memory."""
    widths: Counter[int] = Counter()
    rows = _rows(dataset)
    with columnar.replacing(folder / CONTENT_FILE, SCHEMA) as writer:
        while part := list(islice(rows, columnar.BATCH_ROWS)):
            widths.update(len(row["vector"]) for row in part if row["vector"] is not None)
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
    return ["image", "image_path"] if modality == "image" else [modality]


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
    image, vector = content.image, content.vector
    text = ". ".join(filter(None, (item.title, ", ".join(item.categories), content.description)))
    row: dict[str, Any] = {
        "item_id": item.item_id,
        "text": text or None,
        "image": image if isinstance(image, bytes) else None,
        "image_path": str(image.absolute()) if isinstance(image, Path) else None,
        "vector": vector,
    }
    payloads: dict[Modality, bytes | None] = {
        "text": text.encode() or None,
        "image": _file_state(image) if isinstance(image, Path) else image,
        "vector": None if vector is None else np.array(vector, dtype=np.float32).tobytes(),
    }
    for modality, payload in payloads.items():
        row[f"{modality}_hash"] = None if payload is None else _hash(payload)
    return row


def _file_state(path: Path) -> bytes:
    """A fingerprint of a file, without reading it: its path, size and modification time."""
    try:
        state = path.stat()
    except OSError:
        return f"{path} is not there".encode()
    return f"{path} {state.st_size} {state.st_mtime_ns}".encode()


def _hash(payload: bytes) -> int:
    return int.from_bytes(blake2b(payload, digest_size=8).digest(), "big", signed=True)
