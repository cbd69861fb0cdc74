"""The impression of an answer, with the features for the training sample of its request."""

from __future__ import annotations

import numpy as np

from headrace.api.slate import Envelope
from headrace.event import ImpressionEvent, Served, Shown
from headrace.features.schema import INPUT_SCHEMA
from serving.stages.context import ReplicaContext


def logged(
    context: ReplicaContext, answer: Envelope, items: tuple[Shown, ...], placed: bool = False
) -> ImpressionEvent | None:
    """The event of an answer with these items, None where there are none; with the features of the
    candidates, where there was time to make them."""
    if not items:
        return None
    return ImpressionEvent(
        event_id=answer.request_id,
        event_time_ms=context.now_ms,
        user_id=answer.user_id,
        request_id=answer.request_id,
        items=items,
        surface=context.surface,
        model_version=answer.model_version,
        context=dict(context.told) or None,
        served=_served(context),
        policy=context.policy,
        placed=placed,
    )


def _served(context: ReplicaContext) -> Served | None:
    dense_CF, history_3T = context.candidates.dense_CF, context.history_3T
    if dense_CF is None or history_3T is None:
        return None
    return Served(INPUT_SCHEMA, np.ascontiguousarray(dense_CF).tobytes(), history_3T.tobytes())
