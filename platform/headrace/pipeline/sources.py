"""The sources of a request: who proposes candidates, and how many of them are ranked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from headrace.pipeline.context import Context
from headrace.pipeline.run import run
from headrace.pipeline.stage import Source, Stage


@dataclass(frozen=True, slots=True)
class Quota:
    """A source and the share of the ranked candidates that it may have at most."""

    source: Source
    share: float = 1.0
    deadline_ms: float = math.inf  # since the request began: later it is not asked any more

    def of(self, limit: int) -> int:
        """How many of so many candidates."""
        return int(limit * self.share)


class Sources:
    """The work of a stage that asks sources for candidates of a request: rows by source.

    Each is asked for its quota and so many more as filters may remove (`spare`). A source is a
    stage of its own: it is timed, and one that fails or is late is left out and marked. The last
    one is asked even where the request has no time, so that there is something to answer.
    """

    def __init__(
        self, quotas: Sequence[Quota], limit: int, spare: Callable[[Context], int]
    ) -> None:
        self._spare = spare
        self._stages: tuple[Stage[Context], ...] = tuple(
            Stage(
                name=quota.source.name,
                work=partial(self._ask, quota.source, quota.of(limit)),
                without=f"no_{quota.source.name}",
                deadline_ms=quota.deadline_ms,
                late=f"no_{quota.source.name}" if quota is not quotas[-1] else "",
            )
            for quota in quotas
        )

    def __call__(self, context: Context) -> None:
        context.has_more, context.spare = False, self._spare(context)
        run(self._stages, context)

    def _ask(self, source: Source, limit: int, context: Context) -> None:
        asked = limit * context.widened + context.spare
        row_N = context.found[source.name] = source.candidates(context, asked)
        context.has_more |= len(row_N) >= asked
