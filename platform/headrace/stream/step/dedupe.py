"""Dedupe: which events were seen before."""

from __future__ import annotations

from collections.abc import Sequence


class Dedupe:
    """The users and ids of the events of the last `window` offsets of one partition.

    An id belongs to its user: nobody can use up the ids of others. Memory holds twice as many at
    most: those that are too old are thrown out together.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._offset_of: dict[int, int] = {}  # hash of user and id: offset of the latest copy

    def duplicates(self, ids: Sequence[tuple[str, str]], offsets: Sequence[int]) -> list[bool]:
        """Whether a copy of each event lies at most `window` offsets back; takes note of these.

        `ids` are of the users and of their events. A property of the log alone, so that a restart
        decides as the first run did. Two different ids among 200,000 share their 64-bit hash with a
        probability of one in a billion.
        """
        keys = list(map(hash, ids))
        if len(set(keys)) == len(keys):
            earlier = list(map(self._offset_of.get, keys))
            self._offset_of.update(zip(keys, offsets, strict=True))
        else:
            earlier = [self._seen(key, offset) for key, offset in zip(keys, offsets, strict=True)]
        if len(self._offset_of) > 2 * self._window:
            oldest = offsets[-1] - self._window
            self._offset_of = {k: seen for k, seen in self._offset_of.items() if seen >= oldest}
        return [
            before is not None and before >= offset - self._window
            for before, offset in zip(earlier, offsets, strict=True)
        ]

    def _seen(self, event_key: int, offset: int) -> int | None:
        """Where the event was seen last; takes note that it is seen here."""
        earlier = self._offset_of.get(event_key)
        self._offset_of[event_key] = offset
        return earlier
