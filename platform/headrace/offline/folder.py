"""Folders of the offline store: which files there are, and how they come and go.

    offline/events/date=2024-05-01/p3-1200-1800-of1.parquet
    offline/samples/date=2024-05-01/p3-640-1100-of2.parquet
    offline/feature-rows/user/date=2024-05-01/p3-77-90-of4.parquet

A file is named after the messages that its rows came from: the partition, the first offset, the one
after the last, and how many files of this name there are, one for each date of event time (and kind
of entity). There is no other state: whoever writes goes on where the names end. Of each partition
the last files only can be incomplete, after a crash; then they are deleted and written again. Old
folders of dates may be deleted at any time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.broker.topics import LogIdentity, agreed
from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.features.aggregation.facts import Ints
from headrace.paths import offline_path

EVENTS: Final = "events"
SAMPLES: Final = "samples"
DAY_MS: Final = 86_400_000

_NAME = re.compile(r"p(\d+)-(\d+)-(\d+)-of(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class Span:
    """The files of one flush: the messages [first, end) of a partition."""

    partition: int
    first: int
    end: int
    paths: tuple[Path, ...]
    is_complete: bool


class LogFolder:
    """One log below `offline/`: files that are complete, in the order of their messages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def spans(self, partition: int | None = None) -> list[Span]:
        """The complete spans, of all partitions or of one, in order."""
        found = (span for span in self._all_spans() if span.is_complete)
        return [span for span in found if partition in (None, span.partition)]

    def partitions(self) -> list[int]:
        """The partitions that have files."""
        return sorted({span.partition for span in self.spans()})

    def resume(self) -> dict[int, int]:
        """The next offset of each partition that has files; incomplete files are deleted."""
        for leftover in self.path.rglob(".*.part"):
            leftover.unlink()
        for span in self._all_spans():
            if not span.is_complete:
                for path in span.paths:
                    path.unlink()
        return {span.partition: span.end for span in self.spans()}

    def write(self, partition: int, first: int, end: int, tables: Mapping[str, pa.Table]) -> None:
        """Write the rows of messages [first, end), by folder; all of them or, at a crash, none."""
        name = f"p{partition}-{first}-{end}-of{len(tables)}.parquet"
        replace_files({self.path / folder / name: table for folder, table in tables.items()})

    def tables(self, partition: int, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The rows of a partition, span by span."""
        for span in self.spans(partition):
            parts = [_read(path, columns) for path in span.paths]
            yield pa.concat_tables(parts)

    def _all_spans(self) -> list[Span]:
        paths: dict[tuple[int, ...], list[Path]] = {}
        for path in self.path.rglob("p*.parquet"):
            if match := _NAME.fullmatch(path.name):
                paths.setdefault(tuple(map(int, match.groups())), []).append(path)
        last = {partition: first for partition, first, _, _ in sorted(paths)}
        return [
            Span(partition, first, end, tuple(sorted(of_span)), is_complete)
            for (partition, first, end, num), of_span in sorted(paths.items())
            for is_complete in [first < last[partition] or len(of_span) == num]
        ]


def log_folder(settings: Settings, log: str) -> LogFolder:
    """The folder of one of the logs."""
    return LogFolder(offline_path(settings) / log)


def bind_offline(settings: Settings, identity: LogIdentity) -> LogIdentity:
    """Remember whose logs these are, and return it; refuse those of another namespace, broker or
    topic."""
    path = offline_path(settings) / "log"
    stored = path.read_text() if path.exists() else ""
    namespace, _, known = stored.partition(" ")
    advice = f"choose another HEADRACE_HOME, or move {path.parent} away"
    if stored and namespace != settings.namespace:
        raise ServiceError(
            f"{path.parent} holds the logs of namespace {namespace!r}, this one is "
            f"{settings.namespace!r}: {advice}"
        )
    kept = agreed(known, identity, f"in {path.parent}", advice)
    text = f"{settings.namespace} {kept}"
    if text != stored:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(text)
        os.replace(part, path)
    return kept


def by_date(table: pa.Table, folder: str = "") -> dict[str, pa.Table]:
    """The rows by the folder of their date; `table` has a column `event_time_ms`."""
    day_N: Ints = table.column("event_time_ms").to_numpy() // DAY_MS
    days, inverse_N = np.unique(day_N, return_inverse=True)
    return {
        f"{folder}{date_folder(int(day))}": table.filter(pa.array(inverse_N == place))
        for place, day in enumerate(days)
    }


def date_folder(day: int) -> str:
    """The folder of a day since the epoch."""
    return f"date={np.datetime64(day, 'D')}"


def replace_files(tables: Mapping[Path, pa.Table]) -> None:
    """Write these files; each is there as a whole or not at all, and stays after a power cut."""
    written = []
    for path, table in tables.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        pq.write_table(table, part, compression="zstd")
        _sync(part)
        written.append((part, path))
    for part, path in written:
        os.replace(part, path)
    for folder in _with_parents(path.parent for path in tables):
        _sync(folder)


def between(table: pa.Table, from_ms: int | None, to_ms: int | None) -> pa.Table:
    """The rows of events in [from_ms, to_ms)."""
    time_N: Any = table.column("event_time_ms")
    if from_ms is not None:
        table = table.filter(pc.greater_equal(time_N, from_ms))
    if to_ms is not None:
        table = table.filter(pc.less(table.column("event_time_ms"), to_ms))
    return table


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    with pq.ParquetFile(path) as file:  # not `read_table`, which makes a column of date=...
        return file.read(columns)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _with_parents(folders: Iterable[Path]) -> set[Path]:
    return {each for folder in folders for each in (folder, folder.parent)}
