"""Progress: the quality of the online learner over time, per window of impressions, in Redis."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.features.aggregation.facts import CLICK
from headrace.metrics import DRAWN_TOP, Scores
from headrace.metrics.ranking import RankedLists
from headrace.skipped import Skipped, shortened

MAX_WINDOWS = 2_000
MAX_BYTES: Final = max(len(Scores().to_bytes()), len(RankedLists(DRAWN_TOP).to_bytes()))

Window = TypeVar("Window", Scores, RankedLists)


class _Board(ABC, Generic[Window]):
    """Windows by number under one name; writing a window again replaces it."""

    def __init__(self, redis: Redis, name: str, skipped: Skipped | None) -> None:
        self._redis, self._name, self._skipped = redis, name, skipped or Skipped()

    def write(self, windows: Mapping[int, Window]) -> None:
        """Replace these windows; the oldest are dropped beyond `MAX_WINDOWS`."""
        if not windows:
            return
        packed = {str(n): zlib.compress(s.to_bytes(), 1) for n, s in windows.items()}

        def write() -> None:
            self._redis.hset(self._name, mapping=packed)

        write_key(self._redis, self._name, write, self._skipped)
        newest = max(windows)
        if newest >= MAX_WINDOWS:
            outdated = range(max(0, min(windows) - MAX_WINDOWS), newest - MAX_WINDOWS + 1)
            self._redis.hdel(self._name, *[str(number) for number in outdated])

    def read(self) -> dict[int, Window]:
        """All windows, in order; an invalid entry is passed over and counted."""
        name, nothing = self._name, dict[bytes, bytes]()
        stored = read_key(name, lambda: self._redis.hgetall(name), nothing, self._skipped)
        windows = {}
        for number, value in stored.items():
            try:
                windows[int(number)] = self._window(_unpacked(value))
            except (ValueError, zlib.error) as error:
                self._skipped.add("progress", "no scores", f"{name} {shortened(number)}: {error}")
        return dict(sorted(windows.items()))

    @abstractmethod
    def _window(self, payload: bytes) -> Window:
        """The window in these bytes; raises `ValueError` for anything else."""


class ProgressBoard(_Board[Scores]):
    """Progressive scores of a head by window number."""

    def __init__(
        self, redis: Redis, namespace: str, head: str = CLICK, skipped: Skipped | None = None
    ) -> None:
        name = f"{namespace}:progressive" + ("" if head == CLICK else f":{head}")
        super().__init__(redis, name, skipped)

    def _window(self, payload: bytes) -> Scores:
        scores = Scores.from_bytes(payload)
        _require_finite(scores.sum_p, scores.sum_log_loss)
        return scores


class ChoiceBoard(_Board[RankedLists]):
    """Where the chosen ones of drawn requests came, by window number."""

    def __init__(self, redis: Redis, namespace: str, skipped: Skipped | None = None) -> None:
        super().__init__(redis, f"{namespace}:progressive-drawn", skipped)

    def _window(self, payload: bytes) -> RankedLists:
        lists = RankedLists.from_bytes(payload)
        if lists.k != DRAWN_TOP:
            raise ValueError(f"lists of {lists.k} places, this build counts {DRAWN_TOP}")
        _require_finite(lists.sum_recall, lists.sum_ndcg, lists.sum_reciprocal_rank)
        return lists


def _unpacked(packed: bytes) -> bytes:
    """The bytes of a window; raises `ValueError` or `zlib.error` for what is none."""
    reader = zlib.decompressobj()
    payload = reader.decompress(packed, MAX_BYTES)
    if not reader.eof:
        raise ValueError(f"more than {MAX_BYTES} bytes, or cut off")
    return payload


def _require_finite(*sums: float) -> None:
    if not all(map(math.isfinite, sums)):
        raise ValueError("sums that are not finite")


def merged(windows: Sequence[Scores]) -> Scores:
    """The scores of several windows together."""
    total = Scores()
    for window in windows:
        total.merge(window)
    return total


def merged_lists(windows: Sequence[RankedLists]) -> RankedLists:
    """The lists of several windows together."""
    total = RankedLists(DRAWN_TOP)
    for window in windows:
        total.merge(window)
    return total
