"""The tally of a load: what its one pass over the user's files counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.action import AVERSIONS, BIT, CLICK, EVERY_ACTION
from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.open import TableFile
from headrace.datasets.table.log import fields as f
from headrace.datasets.table.log.id_counts import IdCounts
from headrace.event import DEFAULT_SURFACE

MASKS: Final = range(EVERY_ACTION + 1)
MANY: Final = 30  # rows: among so many impressions one at least is left alone


@dataclass(slots=True)
class Tally:
    """Counts so far, and the users and items of the log in the order in which they came."""

    bad: BadRows = field(default_factory=BadRows)
    rows: Counter[str] = field(default_factory=Counter)  # by file, bad ones too
    null_words: Counter[str] = field(default_factory=Counter)
    num_merged: int = 0
    num_idle: int = 0
    num_events: int = 0
    num_impressions: int = 0
    num_positives: int = 0
    values_without_outcome: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    surfaces: Counter[str] = field(default_factory=Counter)
    users: IdCounts = field(default_factory=IdCounts)
    items: IdCounts = field(default_factory=IdCounts)
    start_ms: int | None = None
    end_ms: int = 0

    @property
    def all_were_chosen(self) -> bool:
        """Whether there are many impressions, and each was clicked."""
        return self.actions[CLICK] == self.num_impressions >= MANY

    def chunks(self, file: TableFile, columns: Sequence[str]) -> Iterator[Chunk]:
        """The chunks of a file; all of its rows are counted."""
        seen = self.bad.by_file[file.name]
        for chunk in file.chunks(columns, self.bad):
            self.rows[file.name] += len(chunk) + self.bad.by_file[file.name] - seen
            yield chunk
            seen = self.bad.by_file[file.name]
        self.rows[file.name] += self.bad.by_file[file.name] - seen

    def absorb(self, catalogue: Tally) -> None:
        """Adds what was counted in the files of the catalogue, but for those of the log."""
        self.bad.absorb(catalogue.bad, without=set(self.rows))
        for file, number in catalogue.rows.items():
            self.rows.setdefault(file, number)
        self.null_words.update(catalogue.null_words)

    def count(self, told: pa.RecordBatch) -> None:
        """Counts the rows of a moment, or of some, that events are made of."""
        time_ms = told.column(f.TIME)
        self.start_ms = time_ms[0].as_py() if self.start_ms is None else self.start_ms
        self.end_ms = time_ms[-1].as_py()
        self.users.add(told.column(f.USER))
        self.items.add(told.column(f.ITEM))
        if f.SURFACE in told.schema.names:
            for found in pc.value_counts(told.column(f.SURFACE)).to_pylist():
                self.surfaces[found["values"]] += found["counts"]
        else:
            self.surfaces[DEFAULT_SURFACE] += len(told)
        came_N = told.column(f.CAME).to_numpy()
        if f.BACK in told.schema.names:
            came_N = came_N[~told.column(f.BACK).to_numpy(zero_copy_only=False)]
        num_M = np.bincount(came_N, minlength=len(MASKS))
        for name, bit in BIT.items():
            self.actions[name] += int(num_M[[mask for mask in MASKS if mask & bit]].sum())
        self.num_positives += int(num_M[[mask for mask in MASKS if mask & ~AVERSIONS]].sum())
