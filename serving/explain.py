"""`headrace explain`: why items get their scores for a user, on the inputs of serving now.

C items asked about   J scalar heads   T past events
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

import msgspec
import numpy as np

from headrace import config
from headrace.action import BIT, CLICK
from headrace.catalogue.table.columns import WORD_FIELDS
from headrace.clock import now_ms
from headrace.commands.flags import add_explain_flags, context_told
from headrace.errors import ConfigError, HeadraceError, ServiceError, StoreUnavailable
from headrace.event import DEFAULT_SURFACE, Id
from headrace.events.declared import CONTEXT as DECLARED
from headrace.events.declared import Told
from headrace.features.aggregation.crosses import (
    Attribute,
    ContextNumber,
    Here,
    InCategories,
    OfGroups,
    OnSurface,
)
from headrace.features.aggregation.facts import action_masks
from headrace.features.inputs import DENSE
from headrace.features.online.store import OnlineStore
from headrace.features.table import CANDIDATE, ITEM, USER, USER_LAYOUT
from headrace.model.batch import Batch, make_request_batch
from headrace.model.explain import CONTEXT, Explanation, explain, with_items
from headrace.pipeline.candidates import Candidates
from headrace.slates.rank import inputs, probabilities, ranker_request
from serving.replica.follow import Live
from serving.replica.snapshot import Snapshot
from serving.stages.context import ReplicaContext
from serving.stages.hydrate import Hydrate

GROUPS: Final[Mapping[str | type, str]] = {  # by the entity of a feature, or the view of a cross
    USER: "user_features",
    ITEM: "item_features",
    OnSurface: "surface_features",  # of the user on it, the same for all candidates
    InCategories: "user_item_features",
    Here: "crossed_features",  # of user or item with the request's surface or words
    OfGroups: "crossed_features",  # of the candidate's categories and authors
    ContextNumber: CONTEXT,
    Attribute: "item_numbers",
}


@dataclass(frozen=True, slots=True)
class Where:
    """A request's surface, and what else it tells."""

    surface: str = DEFAULT_SURFACE
    told: Told = field(default_factory=dict)


HOME: Final = Where()


class PastEvent(msgspec.Struct, frozen=True):
    """One event of the user's history, and how much the item's attention lies on it."""

    item_id: str | None  # None: not in the catalogue any more
    age_ms: int
    actions: tuple[str, ...]  # none: only shown
    attention: float


class ExplainedItem(msgspec.Struct, frozen=True):
    """Why one item got its score; each effect is the logit minus the logit without the group."""

    item_id: Id
    known: bool  # False: not in the catalogue, explained as one that has just appeared
    score: float  # what slates are ordered by
    p: dict[str, float]  # calibrated probability by head, or one that only orders items
    given_click: tuple[str, ...]  # the heads whose probability is that given a click
    logit: float  # of the click
    effects: dict[str, float]
    attention_profile: float  # on the user as a whole; with the history's the sum is 1
    history: tuple[PastEvent, ...]
    fusion: dict[str, float]  # weight of each modality of the content


class Explained(msgspec.Struct, frozen=True):
    """The answer of `headrace explain`."""

    user_id: Id
    known: bool  # False: without attributes and events, explained as a new user
    surface: str
    surface_known: bool  # False: the model does not tell it apart, see `HEADRACE_SURFACES`
    relative: bool  # its probabilities there only order items, as a slate says
    model_version: int
    items: tuple[ExplainedItem, ...]


def dense_groups() -> dict[str, list[int]]:
    """The columns of the dense features, by the group that they belong to."""
    groups: dict[str, list[int]] = {}
    for place, feature in enumerate(DENSE):
        about = type(feature.aggregator.over) if feature.entity == CANDIDATE else feature.entity
        groups.setdefault(GROUPS[about], []).append(place)
    return groups | ({CONTEXT: groups.get(CONTEXT, [])} if DECLARED else {})


class Explainer:
    """Explains with a snapshot, a catalogue and a store as a replica has them."""

    def __init__(self, live: Live, store: OnlineStore) -> None:
        self._live, self._hydrate = live, Hydrate(store)

    def explain(
        self,
        user_id: str,
        item_ids: Sequence[str],
        snapshot: Snapshot,
        at_ms: int,
        where: Where = HOME,
    ) -> Explained:
        """Why these items get their scores in a place; users and items that are not known are
        explained as new ones, a surface that the model does not tell apart as serving takes it.

        Raises `ConfigError` while there is no model, `ServiceError` where the store is silent.
        """
        if snapshot.model is None:
            raise ConfigError("there is no model version yet: run `headrace train` on some samples")
        context = self._context(user_id, item_ids, snapshot, at_ms, where)
        features, model = inputs(context), snapshot.model
        p_CJ = probabilities(context, features, model)
        past_row_T = context.catalogue.rows_of_keys(features.history_3T[0])
        request = ranker_request(context, features, model)
        served = make_request_batch(request, past_row_T, context.candidates.row_C)
        batch = with_items(served, self._live.catalogue.keys, self._live.content)
        explanations = explain(snapshot.model.ranker, batch, dense_groups())
        nobody = USER_LAYOUT.new(1).tobytes()
        return Explained(
            user_id=user_id,
            known=bool(context.user.word_keys) or context.user.state_1.tobytes() != nobody,
            surface=where.surface,
            surface_known=where.surface in snapshot.model.manifest.model.surfaces,
            relative=snapshot.model.is_relative(where.surface),
            model_version=snapshot.model.manifest.version,
            items=tuple(
                _item(item_id, explanation, p_J, (context, batch))
                for item_id, explanation, p_J in zip(item_ids, explanations, p_CJ, strict=True)
            ),
        )

    def _context(
        self, user_id: str, item_ids: Sequence[str], snapshot: Snapshot, at_ms: int, where: Where
    ) -> ReplicaContext:
        """A request to rank these items, as hydrated by serving."""
        catalogue = self._live.catalogue
        rows = catalogue.rows_of_ids(item_ids)
        context = ReplicaContext(
            user_id=user_id,
            now_ms=at_ms,
            catalogue=catalogue,
            snapshot=snapshot,
            num_items=len(rows),
            surface=where.surface,
            told=where.told,
            candidates=Candidates.of("given", rows),
        )
        try:
            self._hydrate(context)
        except StoreUnavailable as error:
            told = f"the online store does not answer, so user {user_id!r} is unknown"
            raise ServiceError(told) from error
        return context


def _item(
    item_id: str,
    explanation: Explanation,
    p_J: np.ndarray,
    asked: tuple[ReplicaContext, Batch],
) -> ExplainedItem:
    context, _ = asked
    catalogue, model = context.catalogue, context.snapshot.model
    assert model is not None, "nothing has ranked this"
    price_micros_1 = catalogue.numbers("price_micros", catalogue.rows_of_ids([item_id]))
    heads = [head.name for head in model.manifest.model.scalar_heads]
    modalities = (*WORD_FIELDS, *model.manifest.vector_tables)
    weights = explanation.modality_weights.values()
    return ExplainedItem(
        item_id=item_id,
        known=item_id in catalogue,
        score=float(model.scores(model.of_impression(p_J[None]), price_micros_1)[0]),
        p=dict(zip(heads, p_J.tolist(), strict=True)),
        given_click=tuple(compress(heads, model.manifest.model.after_click)),
        logit=explanation.logit,
        effects=dict(explanation.effects),
        attention_profile=explanation.attention_profile,
        history=_history(explanation, *asked),
        fusion=dict(zip(modalities, weights, strict=True)),
    )


def _history(
    explanation: Explanation, context: ReplicaContext, batch: Batch
) -> tuple[PastEvent, ...]:
    assert batch.items is not None
    history = batch.history.newest(len(explanation.attention_T))  # more of them may be known
    keys = batch.items.key_U[history.item_BT[0]].numpy()
    masks = action_masks(context.user.history_4T[2][: len(keys)]).tolist()
    told = (history.mask_BT[0].tolist(), history.age_BT[0].tolist(), masks, explanation.attention_T)
    items = context.catalogue.items(context.catalogue.rows_of_keys(keys))
    return tuple(
        PastEvent(
            item_id=item.item_id or None,
            age_ms=age_ms,
            actions=tuple(name for name, bit in BIT.items() if actions & bit),
            attention=attention,
        )
        for item, there, age_ms, actions, attention in zip(items, *told, strict=True)
        if there
    )


def to_text(explained: Explained) -> str:
    """The explanation for a person, the strongest reasons first."""
    new = "" if explained.known else " (new: nothing is known of them)"
    apart = "" if explained.surface_known else " (not told apart by the model)"
    lines = [
        f"user {explained.user_id}{new} on {explained.surface}{apart}, "
        f"model version {explained.model_version}"
    ]
    if explained.relative:
        lines.append("its probabilities here only order items: it has hardly seen impressions")
    for item in explained.items:
        new = "" if item.known else " (new: not in the catalogue)"
        given = {name: f"{name} | {CLICK}" for name in item.given_click}
        chances = ", ".join(f"p({given.get(name, name)}) {p:.4f}" for name, p in item.p.items())
        lines += ["", f"item {item.item_id}{new}: score {item.score:.4f}, {chances}"]
        lines.append(f"  effect on the click's logit {item.logit:+.3f}")
        effects = sorted(item.effects.items(), key=lambda pair: -abs(pair[1]))
        lines += [f"    {name:<20} {effect:+.3f}" for name, effect in effects]
        lines.append(f"  attention: {item.attention_profile:.3f} on the user as a whole, and on")
        events = sorted(item.history, key=lambda event: -event.attention)
        lines += [
            f"    {event.item_id or '(gone)':<20} {event.attention:.3f}  "
            f"{'+'.join(event.actions) or 'shown'}, {event.age_ms / 3_600_000:,.1f} h ago"
            for event in events
        ] or ["    no past event"]
        lines.append("  content weighs")
        lines += [f"    {name:<20} {weight:.3f}" for name, weight in item.fusion.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Explain the items that the arguments name, once; returns the exit code."""
    parser = argparse.ArgumentParser(prog="headrace explain")
    add_explain_flags(parser)
    options = parser.parse_args(arguments)
    settings = config.load()
    try:
        with closing(Live(settings, now_ms)) as live:
            snapshot = live.catch_up(options.model_version)
            explainer = Explainer(live, OnlineStore(settings))
            explained = explainer.explain(
                options.user,
                options.item,
                snapshot,
                now_ms(),
                Where(options.surface, context_told(options)),
            )
    except HeadraceError as error:
        print(f"headrace explain: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.encode(explained).decode() if options.json else to_text(explained))
    return 0


if __name__ == "__main__":
    sys.exit(main())
