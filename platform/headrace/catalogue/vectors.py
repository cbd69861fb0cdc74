"""Content vectors: the encoders' embeddings of the items, found by item key.

N items with content   U items asked for   P changed items   M modalities   R rows of a table
D width of a table   W width of the widest
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.catalogue.table.key_index import KeyIndex, longer
from headrace.catalogue.vector_table import VectorTable, take_over
from headrace.config import Settings, vectors_path
from headrace.errors import DatasetError
from headrace.keys import key

Keys = NDArray[np.int64]
Floats = NDArray[np.float32]


class VectorColumn:
    """The vectors of one vector table, which follow the items that come, change and go.

    Threads may read and change it at a time: nobody reads half of a vector.
    """

    def __init__(self, name: str, width: int) -> None:
        self.name, self.width = name, width
        self._index, self._lock = KeyIndex(), threading.Lock()
        self._vector_RD: Floats = np.zeros((1, width), np.float32)

    @classmethod
    def of(cls, name: str, item_ids: Sequence[str], vector_ND: Floats) -> VectorColumn:
        """One vector for each of these items; the first one of an item that is named twice."""
        column = cls(name, vector_ND.shape[1])
        column._add(*_distinct(item_ids, vector_ND))
        return column

    def put(self, item_ids: Sequence[str], vector_PD: Floats) -> None:
        """New vectors of items, in the place of those that they had."""
        with self._lock:
            self._add(*_distinct(item_ids, vector_PD))

    def remove(self, item_ids: Sequence[str]) -> None:
        """Forget the vectors of items that have none any more."""
        with self._lock:
            self._index.remove(np.unique(_keys(item_ids)))

    def find(self, item_key_U: Keys) -> tuple[Floats, NDArray[np.bool_]]:
        """[U, D] and [U]: the vectors, and which items have one."""
        with self._lock:
            row_U = self._index.find(item_key_U)
            return self._vector_RD[row_U], row_U != 0

    def has(self, item_key_X: Keys) -> NDArray[np.bool_]:
        """[X]: whether an item has a vector."""
        with self._lock:
            has_X: NDArray[np.bool_] = self._index.find(item_key_X) != 0
            return has_X

    def _add(self, keys_P: Keys, vector_PD: Floats) -> None:
        row_P = self._index.add(keys_P)
        if self._index.capacity > len(self._vector_RD):
            self._vector_RD = longer(self._vector_RD, self._index.capacity)
        self._vector_RD[row_P] = vector_PD


class ContentVectors:
    """One vector per item and vector table, of exactly the versions that were asked for.

    Narrower vectors end in zeros, which changes neither products nor lengths; `widths[m]` numbers
    of modality m are its own.
    """

    def __init__(self, columns: Sequence[VectorColumn] = ()) -> None:
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self.widths = tuple(column.width for column in columns)

    @classmethod
    def of(cls, settings: Settings) -> ContentVectors:
        """Those that the settings name; tables of an earlier headrace are taken over first."""
        root = vectors_path(settings)
        take_over(root)
        return cls.read(root, settings.training.vector_tables)

    @classmethod
    def read(cls, root: Path, names: Sequence[str]) -> ContentVectors:
        """Those of the finished tables `names` below `root`, such as "text_minilm/1-b9a0018d".

        Raises `DatasetError` for a version that was never finished, and for a table whose vectors
        have different widths.
        """
        return cls([_column(name, VectorTable(root, name).read()) for name in names])

    def has_any(self, item_key_X: Keys) -> NDArray[np.bool_]:
        """[X]: whether an item has a vector of any modality."""
        has_X = np.zeros(len(item_key_X), dtype=np.bool_)
        for column in self.columns:
            has_X |= column.has(item_key_X)
        return has_X

    def vectors(self, item_key_U: Keys) -> tuple[Floats, NDArray[np.bool_]]:
        """vector_UMW and mask_UM; rows of zeros where the mask is false, as for unknown items."""
        shape = (len(item_key_U), len(self.columns))
        vector_UMW = np.zeros((*shape, max(self.widths, default=0)), dtype=np.float32)
        mask_UM = np.zeros(shape, dtype=np.bool_)
        for m, column in enumerate(self.columns):
            vector_UD, mask_UM[:, m] = column.find(item_key_U)
            vector_UMW[mask_UM[:, m], m, : column.width] = vector_UD[mask_UM[:, m]]
        return vector_UMW, mask_UM


def _keys(item_ids: Sequence[str]) -> Keys:
    return np.array([key(item_id) for item_id in item_ids], dtype=np.int64)


def _distinct(item_ids: Sequence[str], vector_ND: Floats) -> tuple[Keys, Floats]:
    keys_P, first_P = np.unique(_keys(item_ids), return_index=True)
    return keys_P, vector_ND[first_P]


def _column(name: str, rows: pa.Table) -> VectorColumn:
    rows = rows.select(["item_id", "vector"]).drop_null().combine_chunks()
    widths = sorted(pc.unique(pc.list_value_length(rows["vector"])).to_pylist())
    if len(widths) > 1:
        raise DatasetError(
            f"content vectors {name!r} have widths {', '.join(map(str, widths))}, expected one "
            "width per table; delete the table's folder and run `headrace encode`"
        )
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vector_ND = flat.reshape(len(rows), widths[0] if widths else 0)
    return VectorColumn.of(name, rows["item_id"].to_pylist(), vector_ND)
