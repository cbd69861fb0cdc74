"""The log: the files that the mapping names for it, counted once and told as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from headrace.datasets.table.files.joins import Joins
from headrace.datasets.table.files.open import find
from headrace.datasets.table.log import fields as f
from headrace.datasets.table.log.events import Maker
from headrace.datasets.table.log.order import Sorted, Unsorted, moments
from headrace.datasets.table.log.requests import Grouping
from headrace.datasets.table.log.rows import rows
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.log.visits import Visits
from headrace.datasets.table.mapping import EventColumns
from headrace.event import Event


class Log:
    """The events of a user's files. Its making takes one pass, which `tally` has the counts of.

    Files in the order of time are read anew in each pass over the events; others were sorted. Where
    the mapping does not say whether rows are impressions, and all of many were chosen, they are
    none: that takes another pass.
    """

    def __init__(self, folder: Path, part: EventColumns) -> None:
        self._begin(folder, part)
        if part.impressions is None and part.action is None and self.tally.all_were_chosen:
            self._begin(folder, msgspec.structs.replace(part, impressions=False))

    def _begin(self, folder: Path, part: EventColumns) -> None:
        self._folder, self._part = folder, part
        self._files = find(folder, part.file, part.format)
        self._names = [file.name for file in self._files]
        self._maker = Maker(part)
        self._sorted: Sorted | None = None
        try:
            self.tally = Tally()
            self._joins = Joins(folder, part.joins, self.tally.bad)
            self._count()
        except Unsorted:
            self.tally = Tally()
            self._joins = Joins(folder, part.joins, self.tally.bad)
            self._sorted = Sorted(rows(self._files, part, self._joins, self.tally))
            self._count()

    def events(self) -> Iterator[Event]:
        """A pass over the events, in the order of time; equal times are in that of the files."""
        tally = Tally()
        grouping = Grouping(self._part, self._names, tally)
        visits = self._visits(grouping)
        for moment_rows in self._moments(tally):
            told = grouping.merged(moment_rows)
            if visits is not None:
                yield from visits.take(told)
            elif self._part.tells_impressions:
                yield from self._maker.impressions(grouping.requests(told))
            else:
                yield from self._maker.alone(told)
        if visits is not None:
            yield from visits.rest()

    def _count(self) -> None:
        """Counts a pass over the rows; only where actions are linked are events made for it."""
        tally = self.tally
        grouping = Grouping(self._part, self._names, tally)
        visits = self._visits(grouping)
        for moment_rows in self._moments(tally):
            told = grouping.merged(moment_rows)
            if visits is not None:
                tally.num_impressions += told.column(f.IS_SHOWN).true_count
                tally.num_events += sum(1 for _ in visits.take(told))
            elif self._part.tells_impressions:
                requests = grouping.requests(told)
                told = requests.rows
                tally.num_events += len(requests.start_E)
                tally.num_impressions += len(told)
            else:
                came_N = told.column(f.CAME).to_numpy()
                tally.num_events += int(np.bitwise_count(came_N).sum())
                tally.num_idle += int((came_N == 0).sum())
                told = told.filter(pa.array(came_N != 0))
            if len(told):
                tally.count(told)
        if visits is not None:
            tally.num_events += sum(1 for _ in visits.rest())

    def _moments(self, tally: Tally) -> Iterator[pa.RecordBatch]:
        if self._sorted is not None:
            return iter(self._sorted)
        return moments(rows(self._files, self._part, self._joins, tally))

    def _visits(self, grouping: Grouping) -> Visits | None:
        action = self._part.action
        if action is None or not action.has_shown:
            return None
        return Visits(self._maker, grouping, 1_000 * action.within_s)
