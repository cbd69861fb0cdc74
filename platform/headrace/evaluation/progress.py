"""How far a pass over a log is, said now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from headrace.evaluation.row import AnyRow

REPORT_EVERY_S: Final = 5.0


class Progress:
    """Says how much of a total is done, every few seconds at most."""

    def __init__(self, total: int, of: str) -> None:
        self._total, self._of, self._said_s = total, of, time.monotonic()

    def say(self, done: int, part: str) -> None:
        """So many are done, the last of which were of this part."""
        if time.monotonic() - self._said_s >= REPORT_EVERY_S:
            self._said_s = time.monotonic()
            line = f"{done:,} of {self._total:,} {self._of} ({part})"
            print(line, file=sys.stderr, flush=True)


def with_progress(batches: Iterable[Sequence[AnyRow]], total: int) -> Iterator[Sequence[AnyRow]]:
    """The same batches; says every few seconds how many of the impressions are done, and of which
    part the last were."""
    done, progress = 0, Progress(total, "impressions")
    for batch in batches:
        yield batch
        done += sum(len(row.num_of_items) for row in batch)
        progress.say(done, batch[-1].split)
