"""Skipped messages: unreadable messages that a part passed over, counted and named.

No message, and no value in Redis, ends or stops a part. The first one of each kind is named with
the place where it lies; of the others the number is said once a minute at most, and is in the
part's status document. Time is an argument.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Annotated, Final

import msgspec

SAY_EVERY_MS: Final = 60_000
MAX_KINDS: Final = 100  # beyond these all are of the kind "other"
MAX_TEXT: Final = 600  # of what is said about one message

log = logging.getLogger(__name__)


class SkippedKind(msgspec.Struct, frozen=True):
    """Messages of one source that were passed over for one reason."""

    source: str  # the topic without its namespace, or what the Redis key is about
    reason: str
    count: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    first: str  # where the first one lies, and what is wrong with it


def no_clock() -> int:
    """The time of those who only count."""
    return 0


class Skipped:
    """Counts by source and reason. Threads may share one."""

    def __init__(
        self, clock: Callable[[], int] = no_clock, say: Callable[[str], None] = log.warning
    ) -> None:
        self._clock, self._say = clock, say
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str], SkippedKind] = {}
        self._said: dict[tuple[str, str], tuple[int, int]] = {}  # when, and how many there were

    def add(self, source: str, reason: str, where: str, num: int = 1) -> None:
        """Count skipped messages; `where` names this one."""
        with self._lock:
            kind = (source, reason)
            if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
                kind = (source, "other") if (source, "other") in self._kinds else ("other", "other")
            before = self._kinds.get(kind) or SkippedKind(*kind, 0, shortened(where))
            now = msgspec.structs.replace(before, count=before.count + num)
            self._kinds[kind] = now
            line = self._line(kind, now, shortened(where))
        if line:
            self._say(line)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many, by source and reason."""
        with self._lock:
            return {kind: found.count for kind, found in self._kinds.items()}

    def total(self) -> int:
        """How many of all kinds."""
        return sum(self.counts().values())

    def report(self) -> tuple[SkippedKind, ...]:
        """All kinds, for a status document."""
        with self._lock:
            return tuple(self._kinds.values())

    def _line(self, kind: tuple[str, str], now: SkippedKind, where: str) -> str:
        """The line to log now, empty for none."""
        now_ms, name = self._clock(), f"{now.source}: {now.reason}"
        if kind not in self._said:
            self._said[kind] = (now_ms, now.count)
            return f"skipped {name}: {where}; others of this kind are counted"
        said_ms, before = self._said[kind]
        if now_ms - said_ms < SAY_EVERY_MS:
            return ""
        self._said[kind] = (now_ms, now.count)
        return f"skipped {now.count - before:,} more, {name}; the last: {where}"


def place(partition: int, offset: int) -> str:
    """Where a message lies in its topic."""
    return f"partition {partition} offset {offset}"


def shortened(text: object, limit: int = MAX_TEXT) -> str:
    """The text on one line, cut where it is too long, and nothing in it that a terminal obeys."""
    line = " ".join(str(text).split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line[:limit])
    return shown if len(line) <= limit else f"{shown}... ({len(line):,} characters)"


def merged(reports: Iterable[Iterable[SkippedKind]]) -> list[SkippedKind]:
    """The merged reports of several documents, by source and reason."""
    total: dict[tuple[str, str], SkippedKind] = {}
    for kind in (kind for report in reports for kind in report):
        name = (kind.source, kind.reason)
        before = total.get(name)
        count = kind.count + (before.count if before else 0)
        total[name] = msgspec.structs.replace(before or kind, count=count)
    return [total[name] for name in sorted(total)]
