"""A chunk: some rows of a file as Arrow columns, each with its line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Chunk:
    """N rows: their cells by column, and the line of each (1 is the first row after the header).

    Cells of text files are strings, empty where nothing is there; others have the types that
    `typed.simple` leaves.
    """

    columns: dict[str, pa.Array]
    line_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.line_N)

    def keep(self, mask_N: NDArray[np.bool_]) -> Chunk:
        """The rows where the mask is true."""
        if mask_N.all():
            return self
        kept = pa.array(mask_N)
        return Chunk(
            {name: cells.filter(kept) for name, cells in self.columns.items()}, self.line_N[mask_N]
        )
