"""Refilling: where filters leave few candidates, the sources are asked again, for more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headrace.pipeline.context import Context
from headrace.pipeline.given import or_given
from headrace.pipeline.merge import merge
from headrace.pipeline.sources import Sources
from headrace.pipeline.stage import C, Rules, Stage

WIDER: Final = 8  # times as many, in each round
WIDEST: Final = 512  # times as many as at first
FEW: Final = 1 / 8  # of the candidates that are ranked


class Refill:
    """Finds candidates again, more from each source, until enough are left, no source has more, or
    the request has no time.

    Enough are an eighth of those that could be ranked, and as many as are wanted: so a filter that
    few items pass leaves the ranker a choice.
    """

    def __init__(self, find: tuple[Callable[[Context], None], ...], limit: int) -> None:
        self._find, self._enough = find, int(limit * FEW)

    def __call__(self, context: Context) -> None:
        while self._has_few(context) and context.has_more and context.widened < WIDEST:
            if context.elapsed_ms() > context.deadline_ms:
                return
            context.widened *= WIDER
            context.seen_again = ()
            for work in self._find:
                work(context)

    def _has_few(self, context: Context) -> bool:
        num_fresh = len(context.candidates) - len(context.seen_again)
        return num_fresh < max(context.num_items, self._enough)


def finding(sources: Sources, filters: Rules, limit: int) -> tuple[Stage[C], ...]:
    """The stages that find the candidates of a request, of which so many are ranked."""
    asking = or_given(sources)
    return (
        Stage("sources", asking),
        Stage("merge", merge),
        Stage("filters", filters),
        Stage("refill", Refill((asking, merge, filters), limit)),
    )
