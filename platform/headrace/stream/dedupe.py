"""Dedupe: whether an event was seen before."""

from __future__ import annotations


class Dedupe:
    """The ids of the events of the last `window` offsets of one partition.

    Memory holds twice as many at most: those that are too old are thrown out together.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._offset_of: dict[int, int] = {}  # hash of an event's id: offset of its latest copy

    def is_duplicate(self, event_id: str, offset: int) -> bool:
        """Whether a copy of the event lies at most `window` offsets back; takes note of this one.

        A property of the log alone, so that a restart decides as the first run did. Two different
        ids among 200,000 share their 64-bit hash with a probability of one in a billion.
        """
        event_key = hash(event_id)
        earlier = self._offset_of.get(event_key)
        self._offset_of[event_key] = offset
        if len(self._offset_of) > 2 * self._window:
            oldest = offset - self._window
            self._offset_of = {k: seen for k, seen in self._offset_of.items() if seen >= oldest}
        return earlier is not None and earlier >= offset - self._window
