"""Properties of items over time, a row for each, as a row for each item with its newest values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.datasets.table.cells.clock import Clock
from headrace.datasets.table.cells.column import Parsed, ids
from headrace.datasets.table.cells.moments import times
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.open import TableFile
from headrace.datasets.table.keys.values import Properties
from headrace.datasets.table.log.fields import refuse
from headrace.datasets.table.log.tally import Tally

CHUNK_ITEMS: Final = 65_536


@dataclass(slots=True)
class Pivot:
    """The newest value of each named property of each item; other properties are passed over.

    Memory goes by the items and the properties that are named, not by the rows.
    """

    id_column: str
    given: Properties
    names: Sequence[str]  # of the properties
    tally: Tally
    _line_of: dict[str, int] = field(default_factory=dict)  # of each item's first row
    _newest: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)

    def chunks(self, files: Sequence[TableFile]) -> Iterator[tuple[TableFile, Chunk]]:
        """Chunks with a row for each item and a column for each property, empty where it has none.

        They are of the first file, and an item's line is that of its first row.
        """
        time = self.given.time
        columns = [self.id_column, self.given.name, self.given.value]
        columns += [time.column] if time else []
        for file in files:
            for chunk in self.tally.chunks(file, columns):
                self._take(chunk, file)
        items = iter(self._line_of.items())
        while part := dict(islice(items, CHUNK_ITEMS)):
            cells = {self.id_column: pa.array(part, pa.string())}
            for name in self.names:
                values = [self._newest.get((item, name), (0, None))[1] for item in part]
                cells[name] = pa.array(values, pa.string())
            yield files[0], Chunk(cells, np.array(list(part.values()), np.int64))

    def _take(self, chunk: Chunk, file: TableFile) -> None:
        item, name = ids(chunk.columns[self.id_column]), ids(chunk.columns[self.given.name])
        parsed = [(self.id_column, item), (self.given.name, name)]
        at = self._times(chunk)
        if self.given.time is not None:
            parsed.append((self.given.time.column, at))
        good_N = refuse(parsed, chunk.line_N, file.name, self.tally.bad)
        good = pa.array(good_N)
        value = chunk.columns[self.given.value].cast(pa.string())
        for one, line in zip(
            item.value_N.filter(good).to_pylist(), chunk.line_N[good_N].tolist(), strict=True
        ):
            self._line_of.setdefault(one, line)
        is_named = pc.and_(good, pc.is_in(name.value_N, pa.array(self.names, pa.string())))
        rows = zip(
            item.value_N.filter(is_named).to_pylist(),
            name.value_N.filter(is_named).to_pylist(),
            at.value_N[is_named.to_numpy(zero_copy_only=False)].tolist(),
            value.filter(is_named).to_pylist(),
            strict=True,
        )
        for one, its_name, time_ms, told in rows:
            known = self._newest.get((one, its_name))
            if told is not None and (known is None or time_ms >= known[0]):
                self._newest[one, its_name] = time_ms, told

    def _times(self, chunk: Chunk) -> Parsed:
        """The time of each row; without a column the later one is the newer."""
        time = self.given.time
        if time is None:
            return Parsed(chunk.line_N, np.zeros(0, np.int32), [])
        return times(chunk.columns[time.column], Clock(time.unit, time.pattern, time.zone))
