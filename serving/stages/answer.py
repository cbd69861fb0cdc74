"""The stage `answer` of a slate, and the impression that is logged behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from headrace.api.slate import MAX_REMOVED, RankedItem, RemovedItem, Slate
from headrace.event import ImpressionEvent, Shown
from headrace.pipeline.shortfall import shortfall
from serving.stages.context import ReplicaContext, enveloped
from serving.stages.logged import logged


@dataclass(slots=True, kw_only=True)
class SlateContext(ReplicaContext):
    """The context of a request for a slate."""

    items: tuple[RankedItem, ...] = ()
    explain: bool = False


def answer(context: SlateContext) -> None:
    """Make the items of the slate out of the candidates that are left, in their order."""
    rows = enumerate(context.candidates.row_C.tolist())
    context.items = tuple(_ranked_item(context, place, row) for place, row in rows)


def slate_of(context: SlateContext, marks: Sequence[str]) -> Slate:
    """The slate of a finished request. `marks` are what it had to do without beside what its
    stages say."""
    late = ["deadline_passed"] if context.elapsed_ms() > context.deadline_ms else []
    marks = (*marks, *late, *shortfall(context))
    removed = _removed(context) if context.explain else UNSET
    return enveloped(
        Slate, context, marks, items=context.items, removed=removed, policy=context.policy or UNSET
    )


def impression(context: SlateContext, slate: Slate) -> ImpressionEvent | None:
    """The impression event of a slate; None for an empty one."""
    return logged(context, slate, tuple(map(_shown, slate.items)))


def _shown(item: RankedItem) -> Shown:
    return Shown(item.item_id, item.position, propensity=item.propensity)


def _removed(context: SlateContext) -> tuple[RemovedItem, ...]:
    """The first `MAX_REMOVED` candidates that were removed, in the order of the filters."""
    removed: list[RemovedItem] = []
    for one in context.candidates.removed:
        row_K = one.row_N[one.row_N != 0][: MAX_REMOVED - len(removed)]
        items = context.catalogue.items(row_K)
        removed += [RemovedItem(item.item_id, one.reason) for item in items]
    return tuple(removed)


def _ranked_item(context: SlateContext, place: int, row: int) -> RankedItem:
    item, model, candidates = (
        context.catalogue.item(row),
        context.snapshot.model,
        context.candidates,
    )
    propensity_C = candidates.propensity_C
    p_click: float | None = None
    score: float | None = None
    others: dict[str, float] = {}
    if model and candidates.p_CJ is not None and candidates.score_C is not None:
        p_click, *_ = p_J = candidates.p_CJ[place].tolist()
        score = float(candidates.score_C[place])
        others = {name: p_J[column] for name, column in model.weighed.items()}
    return RankedItem(
        item_id=item.item_id,
        title=item.title,
        categories=item.categories,
        position=place,
        p_click=p_click,
        score=score,
        p=others,
        price_micros=item.price_micros,
        currency=item.currency,
        seen_again=row in context.seen_again,
        sources=candidates.sources_of(place),
        reason=_reason(context, place, row),
        propensity=None if propensity_C is None else float(propensity_C[place]),
    )


def _reason(context: SlateContext, place: int, row: int) -> str:
    """Why the candidate of a row is in the slate."""
    if row in context.pinned:
        return "pinned"
    if row in context.seen_again:
        return "seen_again"
    return context.candidates.best_source(place)
