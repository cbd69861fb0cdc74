"""Where past events come from: the archive, the topic, or a dataset written as an archive first."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from headrace.broker.partitioner import partition_of
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.catalogue.item import Dataset
from headrace.config import Settings
from headrace.errors import DatasetError
from headrace.event import encode
from headrace.offline.folder import EVENTS, LogFolder, log_folder
from headrace.offline.tables import event_tables, records_of

EVENTS_PER_FLUSH = 20_000

log = logging.getLogger(__name__)


class Source(Protocol):
    """Events by partition, each partition's in the order of their offsets."""

    def partitions(self) -> list[int]: ...
    def num_events(self) -> int | None: ...  # None where it is not known before they are read
    def read(self, partition: int) -> Iterator[list[Record]]: ...


@dataclass(frozen=True, slots=True)
class ArchivedEvents:
    """The events in a folder that was written like the archive's."""

    path: Path

    def partitions(self) -> list[int]:
        return LogFolder(self.path).partitions()

    def num_events(self) -> int:
        return sum(span.end - span.first for span in LogFolder(self.path).spans())

    def read(self, partition: int) -> Iterator[list[Record]]:
        for table in LogFolder(self.path).tables(partition):
            yield records_of(table, partition)


@dataclass(frozen=True, slots=True)
class TopicEvents:
    """The events in the `events` topic; make the topics first, which checks their partitions."""

    settings: Settings

    def partitions(self) -> list[int]:
        return list(range(self.settings.stream.num_partitions))

    def num_events(self) -> None:
        return None

    def read(self, partition: int) -> Iterator[list[Record]]:
        reader = LogReader(self.settings, Topics(self.settings.namespace).events, {partition: 0})
        yield from reader.read_to_end()
        for gap in reader.take_gaps():
            log.warning("%s", gap)
        reader.close()


def archived_events(settings: Settings) -> ArchivedEvents:
    """The archive of a namespace; raises `DatasetError` if it has no events."""
    source = ArchivedEvents(log_folder(settings, EVENTS).path)
    if not source.num_events():
        raise DatasetError(
            f"{source.path}: no archived events: run `headrace archive` beside the stream, or name "
            "another source (--kafka, --data)"
        )
    return source


def write_dataset(dataset: Dataset, path: Path, num_partitions: int) -> ArchivedEvents:
    """A dataset's events as an archive: those of a user where Kafka would have put them."""
    ends = dict.fromkeys(range(num_partitions), 0)
    events = dataset.events()
    while chunk := list(islice(events, EVENTS_PER_FLUSH)):
        records: dict[int, list[Record]] = {}
        for event in chunk:
            key = event.user_id.encode()
            partition = partition_of(key, num_partitions)
            of_partition = records.setdefault(partition, [])
            offset = ends[partition] + len(of_partition)
            of_partition.append(Record(partition, offset, event.event_time_ms, key, encode(event)))
        for partition, new in records.items():
            first, ends[partition] = ends[partition], ends[partition] + len(new)
            LogFolder(path).write(partition, first, ends[partition], event_tables(new))
    return ArchivedEvents(path)
