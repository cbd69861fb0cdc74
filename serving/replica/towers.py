"""Tower vectors of a replica's catalogue: made when the towers are others, of many items in a
thread of their own, then kept up to date."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

from headrace.catalogue.table.table import ItemTable
from headrace.catalogue.words import ContentTable
from headrace.features.aggregation.facts import Ints
from headrace.model.tower_vectors import TowerVectors, stamp_of

FEW: Final = 20_000  # items whose vectors are made at once


class FollowedTowers:
    """The vectors of the newest towers that were made. Both towers are always of one state; the
    ranker that orders what they find may be newer."""

    def __init__(self, catalogue: ItemTable, content: ContentTable, folder: Path) -> None:
        self._catalogue, self._content, self._folder = catalogue, content, folder
        self._lock = threading.Lock()
        self._version = 0  # the newest whose towers were taken
        self.made: TowerVectors | None = None
        self._since: list[tuple[Ints, Ints]] | None = None  # what came and went while they are made

    def take(self, state: dict[str, Any], version: int) -> None:
        """Make the vectors of a version's towers, unless these are made, others are being made, or
        a newer version had some. Those that are there answer meanwhile."""
        with self._lock:
            is_made = self.made is not None and self.made.stamp == stamp_of(state)
            if is_made or self._since is not None or version < self._version:
                return
            self._since, self._version = [], version
        if len(self._catalogue) <= FEW:
            self._make(state)
        else:
            threading.Thread(target=self._make, args=(state,), name="towers", daemon=True).start()

    def follow(self, put: Ints, removed: Ints) -> None:
        """Take in the keys of items that came or changed, and of those that went."""
        with self._lock:
            if self._since is not None:
                self._since.append((put, removed))
            if self.made is not None:
                self.made.follow(put, removed)

    def _make(self, state: dict[str, Any]) -> None:
        made = self.made
        try:
            keys = self._catalogue.keys(self._catalogue.rows())
            made = TowerVectors(state, self._content, keys, self._folder)
        finally:
            with self._lock:
                for put, removed in self._since or []:
                    if made is not None:
                        made.follow(put, removed)
                self.made, self._since = made, None
