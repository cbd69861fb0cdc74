"""The context of a request to a replica, and the envelope of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from headrace.api.slate import MARKS, Envelope
from headrace.events.serving_policy import ServingPolicy
from headrace.slates.rank import RankContext
from serving.replica.snapshot import Snapshot

Answer = TypeVar("Answer", bound=Envelope)


@dataclass(slots=True, kw_only=True)
class ReplicaContext(RankContext):
    """The context of a replica's stages: catalogue, snapshot, and the fields of all stages."""

    snapshot: Snapshot
    policy: ServingPolicy | None = None  # that draws the items of the answer


def enveloped(
    answer: type[Answer], context: ReplicaContext, marks: Sequence[str], **held: Any
) -> Answer:
    """An answer that holds this, in the envelope of its request. `marks` are what it had to do
    without beside what its stages say."""
    model = context.snapshot.model
    held["relative"] = model is not None and model.is_relative(context.surface)
    return answer(
        request_id=context.request_id,
        user_id=context.user_id,
        model_version=model.manifest.version if model else 0,
        model_age_ms=context.now_ms - model.manifest.created_ms if model else None,
        degraded=_in_order((*context.degraded, *marks)),
        stage_ms={**context.stage_ms, "total": round(context.elapsed_ms(), 3)},
        **held,
    )


def _in_order(marks: Sequence[str]) -> tuple[str, ...]:
    """Those of `MARKS` first, in its order."""
    return tuple(sorted(marks, key=lambda one: MARKS.index(one) if one in MARKS else len(MARKS)))
