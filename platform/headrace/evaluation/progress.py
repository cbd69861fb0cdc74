"""How far a pass over a log is, said now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from headrace.evaluation.row import AnyRow

REPORT_EVERY_S: Final = 5.0


def with_progress(batches: Iterable[Sequence[AnyRow]], total: int) -> Iterator[Sequence[AnyRow]]:
    """The same batches; says every few seconds how many of the impressions are done, and of which
    part the last were."""
    done, said_s = 0, time.monotonic()
    for batch in batches:
        yield batch
        done += sum(len(row.num_of_items) for row in batch)
        if time.monotonic() - said_s >= REPORT_EVERY_S:
            said_s = time.monotonic()
            line = f"{done:,} of {total:,} impressions ({batch[-1].split})"
            print(line, file=sys.stderr, flush=True)
