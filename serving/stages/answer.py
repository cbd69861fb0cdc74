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
    candidates = context.candidates
    unranked = [None] * len(candidates)
    p_click_C = unranked if candidates.p_click_C is None else candidates.p_click_C.tolist()
    score_C = unranked if candidates.score_C is None else candidates.score_C.tolist()
    columns = zip(candidates.row_C.tolist(), p_click_C, score_C, strict=True)
    context.items = tuple(
        _ranked_item(context, row, position, p_click, score)
        for position, (row, p_click, score) in enumerate(columns)
    )


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
        served=Served(INPUT_SCHEMA, np.ascontiguousarray(dense_CF).tobytes(), history_3T.tobytes()),
    )


def _ranked_item(
    context: SlateContext, row: int, position: int, p_click: float | None, score: float | None
) -> RankedItem:
    item, is_seen = context.catalogue.item(row), row in context.seen_again
    return RankedItem(item.item_id, item.title, item.categories, position, p_click, score, is_seen)
