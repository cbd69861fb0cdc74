"""Content vectors of a replica's catalogue: made in a thread of their own, then kept up to date."""

from __future__ import annotations

import threading
from pathlib import Path

from headrace.catalogue.content_index import ContentIndex
from headrace.catalogue.table.table import ItemTable
from headrace.catalogue.words import ContentTable
from headrace.features.aggregation.facts import Ints


class FollowedContent:
    """The index of the content vectors, None until it was made; items that come and go meanwhile
    are taken in before anybody reads it."""

    def __init__(self, catalogue: ItemTable, content: ContentTable, folder: Path) -> None:
        self._catalogue, self._content, self._folder = catalogue, content, folder
        self._lock = threading.Lock()
        self._since: list[tuple[Ints, Ints]] = []
        self.index: ContentIndex | None = None

    def start(self) -> None:
        """Make it beside all else."""
        threading.Thread(target=self.make, name="content", daemon=True).start()

    def make(self) -> None:
        """Make it of the items that are there now."""
        keys = self._catalogue.keys(self._catalogue.rows())
        made = ContentIndex(self._content, keys, self._folder)
        with self._lock:
            for put, removed in self._since:
                made.follow(put, removed)
            self._since.clear()
            self.index = made

    def follow(self, put: Ints, removed: Ints) -> None:
        """Take in the keys of items that came or changed, and of those that went."""
        with self._lock:
            if self.index is None:
                self._since.append((put, removed))
            else:
                self.index.follow(put, removed)
