"""The runner: stages in order, the time that each takes, and the marks of those done without."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import ServiceError
from headrace.pipeline.context import Context
from headrace.pipeline.stage import C, Stage


def run(stages: Sequence[Stage[C]], context: C) -> None:
    """Run the stages over a context.

    One that raises `ServiceError`, or whose turn comes too late, is done without where it has a
    mark for that: the context stays as the stage left it, and `degraded` has the mark. Any other
    error is a mistake, and passes.
    """
    for stage in stages:
        began_ms = context.elapsed_ms()
        if began_ms > stage.deadline_ms:
            _mark(context, stage.without)
            continue
        try:
            stage.work(context)
        except ServiceError:
            if not stage.without:
                raise
            _mark(context, stage.without)
        context.stage_ms[stage.name] = round(context.elapsed_ms() - began_ms, 3)


def _mark(context: Context, mark: str) -> None:
    if mark not in context.degraded:
        context.degraded.append(mark)
