"""The archive: a part that writes the messages of the topics into the offline store's folders.

It reads from where the names of the files end, so that it may die at any moment and still write
each message once. What a stream worker sent twice lies there twice, with the same position.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from redis import Redis

from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics, create_topics, log_identity
from headrace.clock import now_ms
from headrace.config import Settings
from headrace.documents.archived import ArchivedDocuments, archived_items, archived_users
from headrace.monitoring.documents import ArchiveDocument
from headrace.monitoring.status import StatusBoard
from headrace.offline.folder import EVENTS, SAMPLES, LogFolder, bind_offline, by_date, log_folder
from headrace.offline.tables import Tables, event_tables, feature_row_tables, sample_tables
from headrace.paths import DOCUMENTS, FEATURE_ROWS
from headrace.skipped import Skipped
from headrace.stream.step.intake import arrived_records

STATUS_EVERY_MS: Final = 500
MAX_WAITING_BYTES: Final = 64_000_000

log = logging.getLogger(__name__)

ToTables = Callable[[Sequence[Record], Skipped], Tables]


@dataclass(slots=True)
class ArchivedTopic:
    """A topic, its folder, and the messages that wait to be written there."""

    reader: LogReader
    folder: LogFolder
    to_tables: ToTables
    clock: Callable[[], int]
    skipped: Skipped
    waiting: dict[int, list[Record]] = field(default_factory=dict)
    num_bytes: int = 0
    num_lost: int = 0  # messages gone from the topic before they were read, since the start

    def poll(self) -> None:
        """Take the new messages, with times of arrival that whoever replays them can believe."""
        for record in arrived_records(self.reader.poll(timeout_ms=50), self.clock()):
            self.waiting.setdefault(record.partition, []).append(record)
            self.num_bytes += len(record.value)
        for gap in self.reader.take_gaps():
            log.warning("%s", gap)
            self.num_lost += len(gap.gone)

    def flush(self) -> None:
        """Write the waiting messages."""
        for partition, records in self.waiting.items():
            first, end = records[0].offset, records[-1].offset + 1
            self.folder.write(partition, first, end, self.to_tables(records, self.skipped))
        self.waiting, self.num_bytes = {}, 0


def run(settings: Settings) -> None:
    """Archive until a signal says to stop."""
    create_topics(settings)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    Archive(settings, now_ms).run(stopping.is_set)


class Archive:
    """Follows the events, samples, feature rows, items and users of a namespace."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        self._skipped = Skipped(clock)
        topics = Topics(settings.namespace)
        rows = (topics.events, topics.samples, topics.feature_rows)
        archived = (*rows, topics.items, topics.users)
        self._log = bind_offline(settings, log_identity(settings, *archived))
        self._status = StatusBoard(Redis.from_url(settings.redis_url), settings.namespace)
        self._topics = [
            self._archived(topics.events, EVENTS, event_tables),
            self._archived(topics.samples, SAMPLES, sample_tables),
            self._archived(topics.feature_rows, FEATURE_ROWS, feature_row_tables),
            self._history(topics.items, f"{DOCUMENTS}/item", archived_items(settings)),
            self._history(topics.users, f"{DOCUMENTS}/user", archived_users(settings)),
        ]
        self._flushed_ms = self._status_ms = clock()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Archive until told to stop; the messages read by then are written."""
        while not should_stop():
            self.step()
        self.flush()
        self._report(self._clock())
        for topic in self._topics:
            topic.reader.close()

    def step(self) -> None:
        """Take the new messages; write those that wait when they are many or the time is due."""
        for topic in self._topics:
            topic.poll()
        now = self._clock()
        due = now - self._flushed_ms >= 1_000 * self._settings.stream.archive_every_s
        if due or sum(topic.num_bytes for topic in self._topics) > MAX_WAITING_BYTES:
            self.flush()
            self._flushed_ms = now
        if now - self._status_ms >= STATUS_EVERY_MS:
            self._report(now)

    def _report(self, now: int) -> None:
        self._status_ms = now
        lag = sum(topic.reader.lag() for topic in self._topics)
        waiting = sum(map(len, (m for t in self._topics for m in t.waiting.values())))
        lost = sum(topic.num_lost for topic in self._topics)
        skipped = self._skipped.report()
        self._status.write(ArchiveDocument(lag=lag + waiting, lost=lost, skipped=skipped), now)

    def flush(self) -> None:
        """Write all that was read."""
        for topic in self._topics:
            topic.flush()

    def _history(self, name: str, log: str, documents: ArchivedDocuments) -> ArchivedTopic:
        end = log_folder(self._settings, log).resume().get(0, 0)
        documents.go_on(self._settings, name, end)

        def to_tables(records: Sequence[Record], skipped: Skipped) -> Tables:
            return by_date(documents.rows(records, skipped))

        return self._archived(name, log, to_tables, 1)

    def _archived(
        self, name: str, log: str, to_tables: ToTables, num_partitions: int = 0
    ) -> ArchivedTopic:
        folder = log_folder(self._settings, log)
        num_partitions = num_partitions or self._settings.stream.num_partitions
        start = dict.fromkeys(range(num_partitions), 0) | folder.resume()
        reader = LogReader(self._settings, name, start, log=self._log)
        return ArchivedTopic(reader, folder, to_tables, self._clock, self._skipped)
