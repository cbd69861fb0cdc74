"""Content vectors of a process that follows their topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics
from headrace.catalogue.vectors import ContentVectors
from headrace.config import Settings
from headrace.encoders.arrivals.messages import VectorFollower
from headrace.skipped import Skipped

POLL_EVERY_MS: Final = 200


class FollowedVectors:
    """A reader that keeps content vectors up with the topic; without tables it reads nothing."""

    def __init__(
        self,
        settings: Settings,
        vectors: ContentVectors,
        skipped: Skipped,
        clock: Callable[[], int],
    ) -> None:
        self._settings, self._clock, self._is_needed = settings, clock, bool(vectors.columns)
        self._follower = VectorFollower(vectors, skipped)
        self._reader: LogReader | None = None
        self._polled_ms = 0

    def poll(self) -> None:
        """Take in the messages that came, now and then; the first time all that there are."""
        if not self._is_needed:
            return
        if self._reader is None:
            settings, topic = self._settings, Topics(self._settings.namespace).item_vectors
            begin = dict.fromkeys(range(settings.stream.num_partitions), 0)
            self._reader = LogReader(settings, topic, begin)
            for records in self._reader.read_to_end():
                self._follower.take(records)
        now_ms = self._clock()
        if now_ms - self._polled_ms >= POLL_EVERY_MS:
            self._polled_ms = now_ms
            self._follower.take(self._reader.poll(timeout_ms=0))

    def close(self) -> None:
        """Leave the broker."""
        if self._reader is not None:
            self._reader.close()
