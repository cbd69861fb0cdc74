"""Counts of ids in Arrow: columns of a log in, each id with its number of rows out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

MIN_HELD: Final = 1 << 20  # ids, of which most come again, before they are put together


@dataclass(slots=True)
class IdCounts:
    """Rows by id. Memory goes by the different ids."""

    _held: list[pa.Table] = field(default_factory=list)
    _num_held: int = 0
    _bound: int = MIN_HELD

    def add(self, id_N: pa.Array) -> None:
        """Counts the rows of a column."""
        found = pc.value_counts(id_N)
        self._held.append(pa.table({"id": found.field("values"), "rows": found.field("counts")}))
        self._num_held += len(found)
        if self._num_held > self._bound:
            self._combine()

    def by_id(self) -> dict[str, int]:
        """The rows of each id, in the order in which they first came."""
        if not self._held:
            return {}
        self._combine()
        (whole,) = self._held
        names, rows = whole.column("id").to_pylist(), whole.column("rows").to_pylist()
        return dict(zip(names, rows, strict=True))

    def _combine(self) -> None:
        held = pa.concat_tables(self._held)
        summed = held.group_by("id", use_threads=False).aggregate([("rows", "sum")])
        self._held = [pa.table({"id": summed.column("id"), "rows": summed.column("rows_sum")})]
        self._num_held = len(summed)
        self._bound = max(MIN_HELD, 2 * self._num_held)
