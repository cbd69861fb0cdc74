"""Progress: the quality of the online learner over time, per window of impressions, in Redis."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from redis import Redis

from headrace.features.facts import CLICK
from headrace.metrics import Scores

MAX_WINDOWS = 2_000


class ProgressBoard:
    """Progressive scores of a head by window number; writing a window again replaces it."""

    def __init__(self, redis: Redis, namespace: str, head: str = CLICK) -> None:
        self._redis = redis
        self._name = f"{namespace}:progressive" + ("" if head == CLICK else f":{head}")

    def write(self, windows: Mapping[int, Scores]) -> None:
        """Replace these windows; the oldest are dropped beyond `MAX_WINDOWS`."""
        if not windows:
            return
        self._redis.hset(
            self._name,
            mapping={str(n): zlib.compress(s.to_bytes(), 1) for n, s in windows.items()},
        )
        newest = max(windows)
        if newest >= MAX_WINDOWS:
            outdated = range(max(0, min(windows) - MAX_WINDOWS), newest - MAX_WINDOWS + 1)
            self._redis.hdel(self._name, *[str(number) for number in outdated])

    def read(self) -> dict[int, Scores]:
        """All windows, in order."""
        stored = self._redis.hgetall(self._name)
        scores = {int(n): Scores.from_bytes(zlib.decompress(value)) for n, value in stored.items()}
        return dict(sorted(scores.items()))


def merged(windows: Sequence[Scores]) -> Scores:
    """The scores of several windows together."""
    total = Scores()
    for window in windows:
        total.merge(window)
    return total
