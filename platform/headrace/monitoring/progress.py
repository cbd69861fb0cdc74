"""Progress: the quality of the online learner over time, per window of impressions, in Redis."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.features.aggregation.facts import CLICK
from headrace.metrics import Scores
from headrace.skipped import Skipped, shortened

MAX_WINDOWS = 2_000
MAX_BYTES = len(Scores().to_bytes())


class ProgressBoard:
    """Progressive scores of a head by window number; writing a window again replaces it."""

    def __init__(
        self, redis: Redis, namespace: str, head: str = CLICK, skipped: Skipped | None = None
    ) -> None:
        self._redis, self._skipped = redis, skipped or Skipped()
        self._name = f"{namespace}:progressive" + ("" if head == CLICK else f":{head}")

    def write(self, windows: Mapping[int, Scores]) -> None:
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

    def read(self) -> dict[int, Scores]:
        """The scores of all windows, in order; an invalid entry is passed over and counted."""
        name, nothing = self._name, dict[bytes, bytes]()
        stored = read_key(name, lambda: self._redis.hgetall(name), nothing, self._skipped)
        scores = {}
        for number, value in stored.items():
            try:
                scores[int(number)] = _scores(value)
            except (ValueError, zlib.error) as error:
                self._skipped.add("progress", "no scores", f"{name} {shortened(number)}: {error}")
        return dict(sorted(scores.items()))


def _scores(packed: bytes) -> Scores:
    """The scores in these bytes; raises `ValueError` or `zlib.error` for anything else."""
    reader = zlib.decompressobj()
    payload = reader.decompress(packed, MAX_BYTES)
    if not reader.eof:
        raise ValueError(f"more than {MAX_BYTES} bytes, or cut off")
    scores = Scores.from_bytes(payload)
    if not (math.isfinite(scores.sum_p) and math.isfinite(scores.sum_log_loss)):
        raise ValueError("sums that are not finite")
    return scores


def merged(windows: Sequence[Scores]) -> Scores:
    """The scores of several windows together."""
    total = Scores()
    for window in windows:
        total.merge(window)
    return total
