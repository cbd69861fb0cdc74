"""Content vectors: what the encoders made of the items, found by item key.

N items with content   U items asked for   M modalities   D width of the widest
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.keys import key
from headrace.token_table import TokenTable


class _Column(NamedTuple):
    """The vectors of one token table, by ascending key."""

    key_N: NDArray[np.int64]
    vector_ND: NDArray[np.float32]


class ContentVectors:
    """One vector per item and token table, of exactly the versions that were asked for.

    Narrower vectors end in zeros, which changes neither products nor lengths; `widths[m]` numbers
    of modality m are its own.
    """

    def __init__(self, tables: Sequence[TokenTable]) -> None:
        self.names = tuple(table.name for table in tables)
        self._columns = [_column(table.read()) for table in tables]
        self.widths = tuple(column.vector_ND.shape[1] for column in self._columns)

    @classmethod
    def read(cls, root: Path, names: Sequence[str]) -> ContentVectors:
        """Those of the finished tables `names` below `root`, such as "text_minilm/1-b9a0018d".

        Raises `DatasetError` for a version that was never finished.
        """
        return cls([TokenTable(root, name) for name in names])

    def vectors(
        self, item_key_U: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """vector_UMD and mask_UM; rows of zeros where the mask is false, as for unknown items."""
        shape = (len(item_key_U), len(self._columns))
        vector_UMD = np.zeros((*shape, max(self.widths, default=0)), dtype=np.float32)
        mask_UM = np.zeros(shape, dtype=np.bool_)
        for m, (key_N, vector_ND) in enumerate(self._columns):
            if not len(key_N):
                continue
            row_U = np.searchsorted(key_N, item_key_U).clip(max=len(key_N) - 1)
            found_U = key_N[row_U] == item_key_U
            vector_UMD[found_U, m, : self.widths[m]] = vector_ND[row_U[found_U]]
            mask_UM[:, m] = found_U
        return vector_UMD, mask_UM


def _column(rows: pa.Table) -> _Column:
    rows = rows.select(["item_id", "vector"]).drop_null().combine_chunks()
    key_N = np.array([key(item_id) for item_id in rows["item_id"].to_pylist()], dtype=np.int64)
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    order = np.argsort(key_N)
    return _Column(key_N[order], flat.reshape(len(key_N), -1)[order] if len(key_N) else _NOTHING)


_NOTHING = np.zeros((0, 0), dtype=np.float32)
