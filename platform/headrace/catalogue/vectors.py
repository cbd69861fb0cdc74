"""Content vectors: the encoders' embeddings of the items, found by item key.

N items with content   U items asked for   M modalities   D width of a table   W width of the widest
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.catalogue.vector_table import VectorTable, take_over
from headrace.config import Settings, vectors_path
from headrace.errors import DatasetError
from headrace.keys import key


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """The vectors of one vector table, by ascending item key."""

    name: str
    key_N: NDArray[np.int64]
    vector_ND: NDArray[np.float32]

    @classmethod
    def of(cls, name: str, item_ids: Sequence[str], vector_ND: NDArray[np.float32]) -> VectorColumn:
        """One vector for each of these items."""
        key_N = np.array([key(item_id) for item_id in item_ids], dtype=np.int64)
        order = np.argsort(key_N)
        return cls(name, key_N[order], vector_ND[order])


class ContentVectors:
    """One vector per item and vector table, of exactly the versions that were asked for.

    Narrower vectors end in zeros, which changes neither products nor lengths; `widths[m]` numbers
    of modality m are its own.
    """

    def __init__(self, columns: Sequence[VectorColumn] = ()) -> None:
        self._columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self.widths = tuple(column.vector_ND.shape[1] for column in columns)

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

    def has_any(self, item_key_X: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[X]: whether an item has a vector of any modality."""
        has_X = np.zeros(len(item_key_X), dtype=np.bool_)
        for column in self._columns:
            if len(column.key_N):
                row_X = np.searchsorted(column.key_N, item_key_X).clip(max=len(column.key_N) - 1)
                has_X |= column.key_N[row_X] == item_key_X
        return has_X

    def vectors(
        self, item_key_U: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """vector_UMW and mask_UM; rows of zeros where the mask is false, as for unknown items."""
        shape = (len(item_key_U), len(self._columns))
        vector_UMW = np.zeros((*shape, max(self.widths, default=0)), dtype=np.float32)
        mask_UM = np.zeros(shape, dtype=np.bool_)
        for m, column in enumerate(self._columns):
            if not len(column.key_N):
                continue
            row_U = np.searchsorted(column.key_N, item_key_U).clip(max=len(column.key_N) - 1)
            found_U = column.key_N[row_U] == item_key_U
            vector_UMW[found_U, m, : self.widths[m]] = column.vector_ND[row_U[found_U]]
            mask_UM[:, m] = found_U
        return vector_UMW, mask_UM


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
