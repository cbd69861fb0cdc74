"""Rows in the order of time: as they come where they are sorted, else sorted on disk.

Memory goes by the size of a chunk and the number of rows of one moment, not by that of all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.datasets.table.log.fields import FILE, LINE, TIME
from headrace.errors import DatasetError

RUN_ROWS: Final = 1 << 19  # that are sorted in memory at once
BATCH_ROWS: Final = 1 << 14  # of a run that are held while runs are merged
FAN_IN: Final = 64  # runs that are merged at once
BY_TIME: Final = [(name, "ascending") for name in (TIME, FILE, LINE)]  # equal ones stay in order
COMPRESSION: Final = "lz4"


class Unsorted(Exception):
    """Rows that go back in time."""


def moments(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows, the batches cut anew: rows of one moment are in one of them.

    Raises `Unsorted` where a row is older than one before it.
    """
    held: list[pa.RecordBatch] = []  # of the newest moment
    for batch in batches:
        time_N = batch.column(TIME).to_numpy()
        if held and time_N[0] < held[-1].column(TIME)[0].as_py() or np.any(np.diff(time_N) < 0):
            raise Unsorted
        first = int(np.searchsorted(time_N, time_N[-1]))
        is_later = bool(held) and time_N[0] > held[-1].column(TIME)[0].as_py()
        if first or is_later:
            done = [*held, batch.slice(0, first)] if first else held
            yield _joined(done)
            held = []
        held.append(batch.slice(first))
    if held:
        yield _joined(held)


class Sorted:
    """Rows sorted on disk. What it writes has no name any more: it is gone with the process."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        try:
            self._runs = [_written([run]) for run in _runs(batches)]
            while len(self._runs) > FAN_IN:
                places = range(0, len(self._runs), FAN_IN)
                self._runs = [_written(_merged(self._runs[at : at + FAN_IN])) for at in places]
        except OSError as error:
            where = f"{tempfile.gettempdir()}, which TMPDIR names"
            raise DatasetError(
                f"the log is not in the order of time and cannot be sorted in {where}: "
                f"{error.strerror or error}: sort it by time, or name a place with more room"
            ) from None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return _merged(self._runs)


def _runs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows in memory, some at a time, each time sorted."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= RUN_ROWS:
            yield _by_time(_joined(held))
            held = []
    if held:
        yield _by_time(_joined(held))


def _written(batches: Iterable[pa.RecordBatch]) -> Any:
    """An open file with these rows, and without a name."""
    handle, path = tempfile.mkstemp(prefix="headrace-log-")
    os.close(handle)
    try:
        writer = None
        for batch in batches:
            if writer is None:
                options = pa.ipc.IpcWriteOptions(compression=COMPRESSION)
                writer = pa.ipc.new_file(path, batch.schema, options=options)
            writer.write_table(pa.Table.from_batches([batch]), max_chunksize=BATCH_ROWS)
        if writer is not None:
            writer.close()
        return pa.OSFile(path)
    finally:
        os.unlink(path)


def _merged(runs: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    """The rows of sorted runs in order; each batch has all rows of its moments."""
    readers = [_batches(run) for run in runs]
    first = {reader: next(reader, None) for reader in readers}
    heads = {reader: batch for reader, batch in first.items() if batch is not None}
    while heads:
        bound = min(map(_last, heads.values()))
        parts = []
        for reader, head in list(heads.items()):
            while _last(head) == bound and (more := next(reader, None)) is not None:
                head = _joined([head, more])
            end = int(np.searchsorted(head.column(TIME).to_numpy(), bound, side="right"))
            parts.append(head.slice(0, end))
            heads[reader] = head.slice(end)
            if end == len(head):
                del heads[reader]  # the loop above has read it to its end
        yield _by_time(_joined(parts))


def _batches(run: Any) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(run)
    return (reader.get_batch(place) for place in range(reader.num_record_batches))


def _last(batch: pa.RecordBatch) -> int:
    return int(batch.column(TIME)[-1].as_py())


def _by_time(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.take(pc.sort_indices(batch, sort_keys=BY_TIME))


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
