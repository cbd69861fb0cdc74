"""Given candidates: the items that a request names are the only source, `given`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headrace.pipeline.context import Context

GIVEN: Final = "given"


def or_given(sources: Callable[[Context], None]) -> Callable[[Context], None]:
    """The work of a stage that asks sources unless the request gives its candidates."""

    def work(context: Context) -> None:
        if context.given is None:
            sources(context)
        else:
            context.found[GIVEN] = context.given

    return work
