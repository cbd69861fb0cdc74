"""The context of a request for items, out of the fields that such requests share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from headrace.api.slate import InvalidRequest, RankRequest, RecommendRequest, SimilarRequest
from headrace.application.condition import MAX_TESTS, MAX_VALUES, Condition, Reader
from headrace.application.current import APPLICATION
from headrace.catalogue.table.table import ItemTable
from headrace.events.declared import ATTRIBUTES, as_declared
from headrace.features.aggregation.facts import Ints
from serving.replica.snapshot import Snapshot
from serving.stages.answer import SlateContext

MAX_SHOWN: Final = 64  # characters of a name, in an error
Asked = RecommendRequest | RankRequest | SimilarRequest


def context_of(
    asked: Asked, catalogue: ItemTable, snapshot: Snapshot, now_ms: int, **of_route: Any
) -> SlateContext:
    """The context of a request; raises `InvalidRequest` with the field that is wrong. `of_route`
    are fields that its route alone has."""
    given, waited_ms = of_route.pop("given", None), of_route.pop("waited_ms", 0.0)
    context = SlateContext(
        user_id=asked.user_id or "",
        now_ms=now_ms,
        catalogue=catalogue,
        snapshot=snapshot.weighed(_weights(asked)) if asked.weights else snapshot,
        num_items=asked.num_items,
        surface=asked.surface,
        told=as_declared(asked.context),
        condition=_condition(asked),
        deadline_ms=(asked.deadline_ms or math.inf) - waited_ms,
        explain=asked.explain,
        **of_route,
    )
    if given:
        context.given, all_known = _known(catalogue, given)
        context.degraded += [] if all_known else ["unknown_items"]
    return context


def _known(catalogue: ItemTable, ids: Sequence[str]) -> tuple[Ints, bool]:
    """The rows of these items, each once, and whether all are in the catalogue."""
    row_N = catalogue.rows_of_ids(ids)
    return np.array([*dict.fromkeys(row_N[row_N != 0].tolist())], np.int64), bool(row_N.all())


def _weights(asked: Asked) -> Mapping[str, float]:
    """The weights of a request, each within the bounds that are declared for it."""
    for name, weight in asked.weights.items():
        if name not in APPLICATION.weights:
            known = ", ".join(APPLICATION.weights) or "none"
            told = f"no weight that a request may tell, declared in `weights` are: {known}"
            raise InvalidRequest(told, f"weights.{name[:MAX_SHOWN]}")
        least, greatest = APPLICATION.weights[name]
        if not least <= weight <= greatest:
            told = f"got {weight:g}, expected a number from {least:g} to {greatest:g}"
            raise InvalidRequest(told, f"weights.{name}")
    return asked.weights


def _condition(asked: Asked) -> Condition | None:
    if not asked.filters:
        return None
    reader = Reader(ATTRIBUTES, MAX_TESTS, MAX_VALUES)
    condition = reader.condition(asked.filters, "filters")
    for path, told in reader.problems:
        raise InvalidRequest(told, path)
    return condition
