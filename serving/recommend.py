"""Recommendation: the stages by which a request becomes a slate."""

from __future__ import annotations

from typing import Final

from headrace.api.slate import RecommendRequest, Slate
from headrace.application.seen import SeenPolicy
from headrace.catalogue.table.table import ItemTable
from headrace.event import ImpressionEvent
from headrace.events.declared import as_declared
from headrace.pipeline.run import run
from headrace.pipeline.stage import Stage
from headrace.slates.stages import slate_stages
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext, answer, impression, slate_of
from serving.stages.hydrate import Hydrate

SEEN: Final = SeenPolicy()


def stages(
    hydrate: Hydrate, max_candidates: int, policy: SeenPolicy
) -> tuple[Stage[SlateContext], ...]:
    """A request for a slate, in its order (`headrace.slates.stages`)."""
    return slate_stages(hydrate, answer, max_candidates, policy)


class Recommender:
    """Makes slates from the catalogue for the users of the online store."""

    def __init__(
        self,
        hydrate: Hydrate,
        catalogue: ItemTable,
        max_candidates: int,
        policy: SeenPolicy = SEEN,
    ) -> None:
        self._catalogue = catalogue
        self._stages = stages(hydrate, max_candidates, policy)

    def recommend(
        self,
        request: RecommendRequest,
        snapshot: Snapshot,
        now_ms: int,
        marks: tuple[str, ...] = (),
    ) -> tuple[Slate, ImpressionEvent | None]:
        """The slate, and the impression to log where the request asks for it. `marks` are what
        else the slate has to do without."""
        context = SlateContext(
            user_id=request.user_id,
            now_ms=now_ms,
            catalogue=self._catalogue,
            snapshot=snapshot,
            num_items=request.num_items,
            surface=request.surface,
            exclude=request.exclude,
            told=as_declared(request.context),
            explain=request.explain,
        )
        run(self._stages, context)
        slate = slate_of(context, marks)
        return slate, impression(context, slate) if request.record else None
