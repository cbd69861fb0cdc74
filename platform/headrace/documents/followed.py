"""The items' table of a process that follows their topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from headrace import config
from headrace.broker.reader import ASKED_TIMES, LogReader
from headrace.broker.record import Record
from headrace.broker.topics import HOUR_MS, REMOVALS_KEPT_H, Topics
from headrace.catalogue.place import Place
from headrace.catalogue.table.shared import keep, open_catalogue
from headrace.documents.follower import ItemChanges, ItemFollower
from headrace.documents.messages import id_in
from headrace.errors import DatasetError, ServiceError
from headrace.skipped import Skipped

log = logging.getLogger(__name__)

POLL_EVERY_MS: Final = 200
KEEP_EVERY_MS: Final = 600_000
STALE_MS: Final = (REMOVALS_KEPT_H - 24) * HOUR_MS


class FollowedItems:
    """A table of the items, and a reader that follows their topic behind the snapshot's place."""

    def __init__(
        self, settings: config.Settings, skipped: Skipped, clock: Callable[[], int]
    ) -> None:
        self._settings, self._clock = settings, clock
        self._folder = config.catalogue_path(settings)
        self.table, self._place = open_catalogue(self._folder, settings.namespace)
        self._follower = ItemFollower(self.table.get, skipped)
        self._reader: LogReader | None = None
        self._polled_ms, self._kept_ms, self._is_kept = 0, clock(), True

    def read_to_end(self) -> set[str]:
        """Take in all that the topic has now; returns the ids of those that changed by it."""
        begin, changed = CatchUp(self._place, self._clock()), set[str]()
        for records in self._open().read_to_end():
            begin.note(records)
            changes = self._take(records)
            changed.update(changes.removed, (item.item_id for item in changes.put))
        left = begin.left(self.table.ids())
        self.table.remove(left, self._clock())
        return changed.union(left)

    def poll(self) -> ItemChanges:
        """Take in the messages that came, now and then; returns the changes. The first time it
        takes in all."""
        now_ms = self._clock()
        if self._reader is None:
            self.read_to_end()
        if now_ms - self._polled_ms < POLL_EVERY_MS:
            return ItemChanges([], [])
        self._polled_ms = now_ms
        return self._take(self._open().poll(timeout_ms=0))

    def keep_if_due(self, is_last: bool = False) -> None:
        """Write the snapshot for whoever starts next, where something has changed for long."""
        now_ms = self._clock()
        if not self._is_kept and (is_last or now_ms - self._kept_ms >= KEEP_EVERY_MS):
            self._kept_ms, self._is_kept = now_ms, True
            self._place = replace(self._place, as_of_ms=now_ms)
            try:
                keep(self._folder, self._settings.namespace, self.table, self._place)
            except (DatasetError, OSError) as error:  # who starts next reads more of the topic
                log.warning("%s", error)

    @property
    def place(self) -> Place:
        """How far the topic is in the table."""
        return self._place

    def close(self) -> None:
        """Leave the broker."""
        if self._reader is not None:
            self._reader.close()

    def _open(self) -> LogReader:
        if self._reader is None:
            topic = Topics(self._settings.namespace).items
            self._place = begun(self._settings, topic, self._place, self._clock())
            self._reader = LogReader(self._settings, topic, self._place.offsets)
        return self._reader

    def _take(self, records: Sequence[Record]) -> ItemChanges:
        changes, now_ms = self._follower.take(records), self._clock()
        if records:
            offsets = {record.partition: record.offset + 1 for record in records}
            self._place = replace(self._place, offsets={**self._place.offsets, **offsets})
            self._is_kept = False
        self.table.remove(changes.removed, now_ms)
        self.table.put(changes.put, now_ms)
        return changes


class CatchUp:
    """Who has left since a copy that is so old that the topic may have lost its removals: whoever
    is in the copy, and is not told of from the topic's beginning on."""

    def __init__(self, place: Place, now_ms: int) -> None:
        self._is_needed = is_stale(place, now_ms)
        self._told: set[str] = set()

    def note(self, records: Sequence[Record]) -> None:
        """Take in who is told of."""
        if self._is_needed:
            self._told.update(map(id_in, records))

    def left(self, item_ids: Iterable[str]) -> list[str]:
        """Those of these items who have left; nobody where the topic tells of nobody."""
        if not self._told:
            return []
        return [item_id for item_id in item_ids if item_id not in self._told]


def is_stale(place: Place, now_ms: int) -> bool:
    """Whether removals that a copy does not have may be gone from the topic."""
    return bool(place.offsets.get(0)) and now_ms - place.as_of_ms > STALE_MS


def begun(settings: config.Settings, topic: str, place: Place, now_ms: int) -> Place:
    """The place from which to follow a topic, behind a copy of this place: the beginning, where the
    copy says nothing of this log, or is old (`CatchUp`)."""
    id_, end = _asked(settings, topic)
    log_ = f"{topic}:{id_}"
    is_usable = place.log == log_ and not is_stale(place, now_ms)
    offset = place.offsets.get(0, 0) if is_usable else 0
    return replace(place, offsets={0: offset if offset <= end else 0}, log=log_)


def end_of_log(settings: config.Settings, topic: str) -> int:
    """The offset after the newest message of a topic of documents, which has one partition."""
    return _asked(settings, topic)[1]


def _asked(settings: config.Settings, topic: str) -> tuple[str, int]:
    """The identity and the end of a topic of documents."""
    with closing(LogReader(settings, topic, {0: 0}, max_records=1)) as reader:
        for _ in range(ASKED_TIMES):
            reader.poll()
            if reader.has_answers():
                return reader.topic_id, reader.ends()[0]
    raise ServiceError(
        f"the broker at {settings.kafka_bootstrap} says nothing of topic {topic}: is it running?"
    )
