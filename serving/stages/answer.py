"""The stage `answer` of a slate, and the impression that is logged behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.api.slate import RankedItem, Slate
from headrace.event import ImpressionEvent, Served, Shown
from headrace.features.schema import INPUT_SCHEMA
from serving.stages.context import ReplicaContext


@dataclass(slots=True, kw_only=True)
class SlateContext(ReplicaContext):
    """The context of a request for a slate."""

    items: tuple[RankedItem, ...] = ()


def answer(context: SlateContext) -> None:
    """Make the items of the slate out of the candidates that are left, in their order."""
    rows = enumerate(context.candidates.row_C.tolist())
    context.items = tuple(_ranked_item(context, place, row) for place, row in rows)


def impression(context: SlateContext, slate: Slate) -> ImpressionEvent | None:
    """The impression event of a slate, with the features for the training sample of this request;
    None for an empty slate."""
    if not slate.items:
        return None
    dense_CF, history_3T = context.candidates.dense_CF, context.history_3T
    assert dense_CF is not None and history_3T is not None, "nothing has ranked this"
    return ImpressionEvent(
        event_id=slate.request_id,
        event_time_ms=context.now_ms,
        user_id=slate.user_id,
        request_id=slate.request_id,
        items=tuple(Shown(item.item_id, item.position) for item in slate.items),
        surface=context.surface,
        model_version=slate.model_version,
        context=dict(context.told) or None,
        served=Served(INPUT_SCHEMA, np.ascontiguousarray(dense_CF).tobytes(), history_3T.tobytes()),
    )


def _ranked_item(context: SlateContext, place: int, row: int) -> RankedItem:
    item, model, candidates = (
        context.catalogue.item(row),
        context.snapshot.model,
        context.candidates,
    )
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
    )
