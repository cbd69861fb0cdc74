"""The runner: stages in order, the time that each takes, and the marks of those done without."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import ServiceError
from headrace.pipeline.context import Context
from headrace.pipeline.stage import C, Stage


def run(stages: Sequence[Stage[C]], context: C) -> None:
    """Run the stages over a context.

    One that raises `ServiceError`, whose turn comes too late, or that would end after the
    request's deadline, is done without where it has a mark for that: the context stays as the
    stage left it, and `degraded` has the mark. Any other error is a mistake, and passes.
    """
    for stage in stages:
        began_ms = context.elapsed_ms()
        if began_ms > stage.deadline_ms:
            _mark(context, stage.without)
            continue
        if stage.late and _would_be_late(stage, context, began_ms):
            _mark(context, stage.late)
            continue
        try:
            stage.work(context)
        except ServiceError:
            if not stage.without:
                raise
            _mark(context, stage.without)
        else:
            if stage.pace:
                stage.pace.note(context, context.elapsed_ms() - began_ms)
        took_ms = context.stage_ms.get(stage.name, 0.0) + context.elapsed_ms() - began_ms
        context.stage_ms[stage.name] = round(took_ms, 3)


def _would_be_late(stage: Stage[C], context: C, began_ms: float) -> bool:
    expected_ms = stage.pace.expected_ms(context) if stage.pace else 0.0
    return began_ms + expected_ms > context.deadline_ms


def _mark(context: Context, mark: str) -> None:
    if mark not in context.degraded:
        context.degraded.append(mark)
