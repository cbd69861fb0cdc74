"""The snapshot file of an item table: an Arrow file with the place in the topic that it is of.

Whoever opens it maps it, so that the processes of a node share its pages. What a process changes of
it is its own: the mapping is private, and a page is copied when it is written to. The file is
written beside and swapped: who has mapped the old one keeps it. The rows without an item at the end
are room for items that come.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.catalogue.place import Place
from headrace.catalogue.table.columns import COLUMNS, FIELDS, MAX_WORDS, WORD_FIELDS
from headrace.catalogue.table.key_index import KeyIndex
from headrace.catalogue.table.ragged import Ragged
from headrace.catalogue.table.table import ItemTable
from headrace.errors import DatasetError

FORMAT: Final = "headrace.items/3"
LAYOUT: Final = json.dumps([FORMAT, FIELDS, WORD_FIELDS, MAX_WORDS])
SCHEMA: Final = pa.schema(
    [
        ("key", pa.int64()),
        *((name, pa.from_numpy_dtype(dtype)) for name, dtype in COLUMNS.items()),
        ("words", pa.large_list(pa.field("word", pa.int64(), nullable=False))),
        ("document", pa.large_binary()),
    ]
)
_CHUNK: Final = 1 << 20


def write_snapshot(table: ItemTable, path: Path, place: Place) -> None:
    """Writes the table into a file, which replaces the one that is there, whole or not at all."""
    batch = _batch(table.columns())
    metadata = {
        "layout": LAYOUT,
        "place": place.text(),
        "source": place.source,
        "checksum": str(_checksum(batch)),
    }
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        schema = SCHEMA.with_metadata(metadata)
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(batch.replace_schema_metadata(metadata))
        os.replace(temporary, path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def open_snapshot(path: Path) -> tuple[ItemTable, Place]:
    """The table of a file, mapped, and its place.

    Raises `DatasetError` where there is no file, and where it is damaged or another program's.
    """
    try:
        with path.open("rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        reader = pa.ipc.open_file(pa.py_buffer(memory))
        found, batch = dict(reader.schema.metadata or {}), reader.get_batch(0)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _refused(path, " ".join(str(error).split())) from None
    if found.get(b"layout", b"").decode() != LAYOUT or not batch.schema.equals(SCHEMA):
        raise _refused(path, "it is of another headrace or another program")
    if found[b"checksum"].decode() != str(_checksum(batch)):
        raise _refused(path, "its check sum is wrong")
    memory.madvise(mmap.MADV_DONTNEED)  # what the sum has read is read again where it is needed
    place = Place.parsed(found[b"place"].decode(), found[b"source"].decode())
    return _table(batch, memory), place


def _batch(columns: Mapping[str, Any]) -> pa.RecordBatch:
    arrays = []
    for field_ in SCHEMA:
        if field_.name in ("words", "document"):
            flat_V, end_R = columns[field_.name]
            ends = pa.py_buffer(np.concatenate([[0], end_R]))
            if pa.types.is_large_binary(field_.type):
                buffers, children = [None, ends, pa.py_buffer(flat_V)], []
            else:
                buffers, children = [None, ends], [pa.array(flat_V)]
            made = pa.Array.from_buffers(field_.type, len(end_R), buffers, children=children)
        else:
            made = pa.array(columns[field_.name])
        arrays.append(made)
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _table(batch: pa.RecordBatch, memory: mmap.mmap) -> ItemTable:
    """A table over the buffers of a batch, which lie in this memory."""
    start = pa.py_buffer(memory).address

    def view(buffer: pa.Buffer | None, dtype: np.dtype[Any], num: int) -> NDArray[Any]:
        if buffer is None or not num:
            return np.zeros(0, dtype)
        return np.frombuffer(memory, dtype, num, buffer.address - start)

    num = len(batch)
    key_R = view(batch["key"].buffers()[1], np.dtype(np.int64), num)
    numbers = {name: view(batch[name].buffers()[1], dtype, num) for name, dtype in COLUMNS.items()}
    words, documents = batch["words"], batch["document"]
    of_words, of_documents = words.buffers(), documents.buffers()
    word_end_R, end_R = (
        view(buffers[1], np.dtype(np.int64), num + 1)[1:] for buffers in (of_words, of_documents)
    )
    word_V = view(of_words[3], np.dtype(np.int64), int(word_end_R[-1]))
    byte_V = view(of_documents[2], np.dtype(np.uint8), int(end_R[-1]))
    return ItemTable(
        KeyIndex.of_rows(key_R),
        numbers,
        Ragged.of_ends(word_V, word_end_R),
        Ragged.of_ends(byte_V, end_R),
    )


def _checksum(batch: pa.RecordBatch) -> int:
    checksum = 0
    for column in batch.columns:
        for buffer in filter(None, column.buffers()):
            view = memoryview(buffer)
            for start in range(0, len(view), _CHUNK):
                checksum = zlib.crc32(view[start : start + _CHUNK], checksum)
    return checksum


def _refused(path: Path, why: str) -> DatasetError:
    return DatasetError(
        f"{path}: is no snapshot of the items that can be read: {why}; delete it, it is made anew"
    )
