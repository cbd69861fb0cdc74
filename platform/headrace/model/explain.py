"""Explanations: where a candidate's logit comes from.

    C candidates   T past events   M modalities   F features   K logits
    U items of a batch

Three views, each with a meaning of its own: how the candidate's attention is spread over the past
events; how the fusion weighs the item's modalities; and the effect of a group of inputs, which is
the logit minus the logit without the group (ablation). Without a group of dense features means
that they have the running mean of the training stream; without an id, content or history means
that the ranker is not told. Effects need not sum to the logit: groups act together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.table.columns import WORD_FIELDS
from headrace.catalogue.words import ContentTable
from headrace.model.batch import Batch, Items, make_items
from headrace.model.config import CLICK
from headrace.model.layers.item_tower import ItemSide
from headrace.model.layers.target_attention import Slots
from headrace.model.ranker import Ranker, attention
from headrace.model.word_bags import WordBags

CONTEXT: Final = "context"  # the group of what requests told: numbers, and words with them

KeysOf = Callable[[NDArray[np.int64]], NDArray[np.int64]]  # of the items of these rows


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one candidate got its logit of one head."""

    logit: float
    attention_T: tuple[float, ...]  # to the past events, the newest first
    attention_profile: float  # to the user as a whole: with the events' the sum is 1
    modality_weights: Mapping[str, float]  # sum is 1, or 0 for an item without content
    effects: Mapping[str, float]  # per group: the logit minus the logit without it


def with_items(batch: Batch, keys_of: KeysOf, content: ContentTable) -> Batch:
    """A batch whose items are rows of a catalogue, which have these keys, with items of its own."""
    history, candidates = batch.history, batch.candidates
    rows = torch.cat([history.item_BT.reshape(-1), candidates.item_C])
    row_U, place = torch.unique(rows, return_inverse=True)
    past, asked = place.split([history.item_BT.numel(), len(candidates.item_C)])
    return dataclasses.replace(
        batch,
        history=dataclasses.replace(history, item_BT=past.view_as(history.item_BT)),
        candidates=dataclasses.replace(candidates, item_C=asked),
        items=make_items(keys_of(row_U.numpy()), content),
    )


@torch.no_grad()
def explain(
    ranker: Ranker,
    batch: Batch,
    dense_groups: Mapping[str, Sequence[int]],
    head: str = CLICK,
) -> list[Explanation]:
    """One explanation per candidate of a batch with items.

    `dense_groups` names groups of columns of the dense features. The groups `history`, `user`,
    `item_id` and `content` (of the candidate) are always there. The ranker must be in eval mode.
    """
    assert not ranker.training, "call eval() on the ranker first"
    column = [one.name for one in ranker.config.scalar_heads].index(head)
    batch = batch.to(ranker.device)
    assert batch.items is not None
    with ranker.precision():
        items = ranker.item_side(batch.items)
        logit_C = _logits(ranker, batch, items, items)[:, column]
        effects = {
            name: logit_C - without_CK[:, column]
            for name, without_CK in _ablated(ranker, batch, items, dense_groups).items()
        }
        attention_CS = _attention(ranker, batch, items)
        weight_CM = _modality_weights(ranker, batch)
    names = (*WORD_FIELDS, *(f"vector_{n}" for n in range(len(ranker.config.content_widths))))
    return [
        Explanation(
            logit=float(logit_C[row]),
            attention_T=tuple(attention_CS[row, 1:].tolist()),
            attention_profile=float(attention_CS[row, 0]),
            modality_weights=dict(zip(names, weight_CM[row].tolist(), strict=True)),
            effects={name: float(effect_C[row]) for name, effect_C in effects.items()},
        )
        for row in range(len(logit_C))
    ]


def _ablated(
    ranker: Ranker, batch: Batch, items: ItemSide, dense_groups: Mapping[str, Sequence[int]]
) -> dict[str, Tensor]:
    """[C, K] per group: the logits without it."""
    assert batch.items is not None
    users, history, of_items = batch.users, batch.history, batch.items
    nobody = dataclasses.replace(
        users, key_B=torch.zeros_like(users.key_B), words=_empty(users.words)
    )
    no_events = dataclasses.replace(
        history,
        mask_BT=torch.zeros_like(history.mask_BT),
        known_key_BP=torch.zeros_like(history.known_key_BP),
    )
    no_id = dataclasses.replace(of_items, key_U=torch.zeros_like(of_items.key_U))
    no_content = Items(of_items.key_U, _empty(of_items.words))
    without_user = dataclasses.replace(batch, users=nobody)
    without_history = dataclasses.replace(batch, history=no_events)
    logits = {
        "history": _logits(ranker, without_history, items, items),
        "user": _logits(ranker, without_user, items, items),
        "item_id": _logits(ranker, batch, items, ranker.item_side(no_id)),
        "content": _logits(ranker, batch, items, ranker.item_side(no_content)),
    }
    for name, columns in dense_groups.items():
        dense_CF = batch.candidates.dense_CF.clone()
        dense_CF[:, list(columns)] = ranker.scale.usual_F[list(columns)]
        candidates = dataclasses.replace(batch.candidates, dense_CF=dense_CF)
        untold = dataclasses.replace(users, context=None) if name == CONTEXT else users
        averaged = dataclasses.replace(batch, candidates=candidates, users=untold)
        logits[name] = _logits(ranker, averaged, items, items)
    return logits


def _logits(ranker: Ranker, batch: Batch, past: ItemSide, candidates: ItemSide) -> Tensor:
    """[C, K]: with one item side for the past events, and one for the candidates."""
    side = ranker.items.candidate_side(candidates.rows(batch.candidates.item_C))
    return ranker.score(ranker.user_side(batch, past), side, batch.candidates).logit_CK


def _attention(ranker: Ranker, batch: Batch, items: ItemSide) -> Tensor:
    """[C, 1 + T]: how much each candidate looks at the request's own place and at each event."""
    user = ranker.user_side(batch, items)
    side = ranker.items.candidate_side(items.rows(batch.candidates.item_C))
    slots = Slots(batch.candidates.request_C, len(user.mask_BS))
    return slots.gather(attention(slots, user, side))


def _modality_weights(ranker: Ranker, batch: Batch) -> Tensor:
    """[C, M]: how much each modality of the candidate counts in the fusion."""
    assert batch.items is not None
    modality_UMD, mask_UM = ranker.modalities(batch.items)
    weight_UM = ranker.items.fusion.weights(modality_UMD, mask_UM)
    return weight_UM[batch.candidates.item_C]


def _empty(bags: WordBags) -> WordBags:
    """As many bags with nothing in them."""
    return WordBags(bags.key_V, bags.row_N[:0], torch.zeros_like(bags.start_G))
