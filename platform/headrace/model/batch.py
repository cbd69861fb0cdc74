"""Batches: requests as the tensors that the ranker reads.

    B requests   C candidates of all requests together   T and P past events   F features   J heads
    U distinct items   M modalities   W content vector width   L words of a field
    G bags of words   N words of all bags together   V distinct words

Requests have different numbers of candidates; `request_C` says whose each one is:

    request 0: items a b c      request_C = 0 0 0 1 1
    request 1: items d e        item_C    = rows of a b c d e in the distinct items
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.words import ContentTable
from headrace.event import POSITION_UNKNOWN
from headrace.events.declared import word_keys
from headrace.features.aggregation.facts import grades, told_apart
from headrace.features.inputs import RequestFeatures
from headrace.model.config import RankerConfig
from headrace.model.drawn import DrawnRequests, drawn_requests
from headrace.model.labels import known_heads, labels_of
from headrace.model.word_bags import WordBags, bags_of, word_bags
from headrace.sample import Sample

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Items:
    """The distinct items of a batch with their content."""

    key_U: Tensor
    words: WordBags  # [U x M] bags: those of the first item, then those of the second, ...
    vector_UMW: Tensor | None = None  # a modality narrower than W is padded with zeros
    mask_UM: Tensor | None = None  # True where the item has the vector


@dataclass(frozen=True, slots=True)
class Users:
    """Who asks, and where."""

    key_B: Tensor
    words: WordBags  # [B] bags: the attributes of each user
    surface_B: Tensor  # 0: none of those in the configuration
    context: WordBags | None = None  # [B] bags: the words that requests told; None where none did


@dataclass(frozen=True, slots=True)
class History:
    """Past events of the users, the newest first: T that a tower reads, and P that are known."""

    item_BT: Tensor  # rows of the items
    mask_BT: Tensor  # True where there is an event
    age_BT: Tensor  # ms before the request
    action_BT: Tensor  # sets of actions (`told_apart`); 0: shown, nothing done
    known_key_BP: Tensor  # item keys, 0 where there is no event
    known_grade_BP: Tensor  # how much came of it, from 0 to 1
    dwell_BT: Tensor | None = None  # ms, 0 where unknown

    def newest(self, num_events: int) -> History:
        """The last so many events for the tower."""
        return dataclasses.replace(
            self,
            item_BT=self.item_BT[:, :num_events],
            mask_BT=self.mask_BT[:, :num_events],
            age_BT=self.age_BT[:, :num_events],
            action_BT=self.action_BT[:, :num_events],
            dwell_BT=None if self.dwell_BT is None else self.dwell_BT[:, :num_events],
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of all requests: items, features, labels and positions."""

    request_C: Tensor  # ascending
    item_C: Tensor  # rows of the items
    dense_CF: Tensor
    label_CJ: Tensor  # NaN where unknown, as of what was drawn; the class for a categorical head
    grade_C: Tensor  # how much came of it, from 0 to 1; NaN where unknown
    position_C: Tensor | None = None  # in the slate, `POSITION_UNKNOWN` where unknown
    drawn: DrawnRequests | None = None  # those of the requests that nobody was seen to show


@dataclass(frozen=True, slots=True)
class Batch:
    """The ranker's input for one step of training, or for one request of serving."""

    users: Users
    history: History
    candidates: Candidates
    items: Items | None  # None where an item side exists already

    @property
    def surface_C(self) -> Tensor:
        """The surface of each candidate's request."""
        return self.users.surface_B[self.candidates.request_C]

    def to(self, device: torch.device) -> Batch:
        """The same on a device, but for keys: those stay on the CPU, where the tables are."""
        if self.candidates.dense_CF.device == device:
            return self
        return moved(self, device)


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request as a batch takes it in: N items, their features and, in training, labels."""

    user_key: int
    user_words: tuple[int, ...]
    item_keys: Sequence[int]
    features: RequestFeatures
    label_NJ: NDArray[np.float32] | None = None
    outcome_N: NDArray[np.int64] | None = None
    position_N: NDArray[np.int64] | None = None
    surface: int = 0
    log_q_N: NDArray[np.float32] | None = None  # of a drawn request
    known_J: NDArray[np.bool_] | None = None  # which heads learn of it
    context_words: tuple[int, ...] = ()


def batch_of_samples(
    samples: Sequence[Sample], content: ContentTable, config: RankerConfig
) -> Batch:
    """One training batch for this ranker; the samples must be of one input schema.

    A head has the label of the action of its name, after a click where that is its kind; NaN where
    the log does not tell.
    """
    requests = [
        BatchRequest(
            user_key=sample.user_key,
            user_words=sample.user_word_keys,
            context_words=word_keys(sample.context),
            item_keys=sample.item_keys,
            features=RequestFeatures(sample.dense_NF, sample.history_3T),
            label_NJ=labels_of(sample, config.heads),
            outcome_N=np.array(sample.outcomes),
            position_N=np.array(sample.positions) if sample.positions else None,
            surface=config.surface_number(sample.surface),
            log_q_N=sample.log_q_N if sample.log_q else None,
            known_J=known_heads(sample, config.heads) if sample.log_q else None,
        )
        for sample in samples
    ]
    return make_batch(requests, content, config.history)


def make_batch(
    requests: Sequence[BatchRequest], content: ContentTable, max_events: int | None = None
) -> Batch:
    """The batch of these requests, with the content of all items of candidates and histories.

    Items that are not in the catalogue are one, the unknown item of key 0, as where it is served.
    """
    known_B3P = _trimmed(np.stack([r.features.history_3T for r in requests]))
    history_B3T = known_B3P[..., :max_events]
    candidate_key_C = np.concatenate([np.asarray(r.item_keys, dtype=np.int64) for r in requests])
    every_key = content.known_keys(np.concatenate([candidate_key_C, history_B3T[:, 0].ravel()]))
    item_key_U, row_of = np.unique(every_key, return_inverse=True)
    candidate_rows_C, history_rows = np.split(row_of.reshape(-1), [len(candidate_key_C)])
    return Batch(
        users=_users(requests),
        history=_history(history_B3T, history_rows.reshape(len(requests), -1), known_B3P),
        candidates=_candidates(requests, candidate_rows_C),
        items=make_items(item_key_U, content),
    )


def make_request_batch(
    request: BatchRequest, history_rows_T: NDArray[np.int64], candidate_rows_C: NDArray[np.int64]
) -> Batch:
    """One request against an item side that exists already: items are rows of that side."""
    history_13T = _trimmed(request.features.history_3T[None])
    return Batch(
        users=_users([request]),
        history=_history(history_13T, history_rows_T[None, : history_13T.shape[2]], history_13T),
        candidates=_candidates([request], candidate_rows_C),
        items=None,
    )


def make_items(item_key_U: NDArray[np.int64], content: ContentTable) -> Items:
    """These items with their content."""
    word_UML = content.words_UML(item_key_U)
    words = word_bags(word_UML.reshape(-1, word_UML.shape[-1]))
    if not content.vectors.names:
        return Items(torch.from_numpy(item_key_U), words)
    vector_UMW, mask_UM = map(torch.from_numpy, content.vectors.vectors(item_key_U))
    return Items(torch.from_numpy(item_key_U), words, vector_UMW, mask_UM)


def _users(requests: Sequence[BatchRequest]) -> Users:
    told = [r.context_words for r in requests]
    return Users(
        key_B=torch.tensor([r.user_key for r in requests]),
        words=bags_of([r.user_words for r in requests]),
        surface_B=torch.tensor([r.surface for r in requests]),
        context=bags_of(told) if any(told) else None,
    )


def _history(
    history_B3T: NDArray[np.int64], rows_BT: NDArray[np.int64], known_B3P: NDArray[np.int64]
) -> History:
    return History(
        item_BT=torch.from_numpy(rows_BT),
        mask_BT=torch.from_numpy(history_B3T[:, 0] != 0),
        age_BT=torch.from_numpy(history_B3T[:, 1]),
        action_BT=torch.from_numpy(told_apart(history_B3T[:, 2])),
        known_key_BP=torch.from_numpy(known_B3P[:, 0]),
        known_grade_BP=torch.from_numpy(grades(known_B3P[:, 2])),
    )


def _candidates(requests: Sequence[BatchRequest], rows_C: NDArray[np.int64]) -> Candidates:
    counts_B = torch.tensor([len(r.features.dense_NF) for r in requests])
    labels = [r.label_NJ for r in requests if r.label_NJ is not None]
    of_each = [
        np.full(len(r.features.dense_NF), np.nan, np.float32)
        if r.outcome_N is None
        else grades(r.outcome_N)
        for r in requests
    ]
    positions = [
        np.full(len(r.features.dense_NF), POSITION_UNKNOWN)
        if r.position_N is None
        else r.position_N
        for r in requests
    ]
    known = any(r.position_N is not None for r in requests)
    return Candidates(
        request_C=torch.repeat_interleave(counts_B),
        item_C=torch.from_numpy(rows_C),
        dense_CF=torch.from_numpy(np.concatenate([r.features.dense_NF for r in requests])),
        label_CJ=torch.from_numpy(np.concatenate(labels)) if labels else torch.zeros(0, 0),
        grade_C=torch.from_numpy(np.concatenate(of_each)),
        position_C=torch.from_numpy(np.concatenate(positions)) if known else None,
        drawn=_drawn(requests),
    )


def _drawn(requests: Sequence[BatchRequest]) -> DrawnRequests | None:
    firsts = np.cumsum([0, *(len(r.features.dense_NF) for r in requests)]).tolist()
    drawn = [(first, r.log_q_N, r.known_J) for first, r in zip(firsts, requests, strict=False)]
    drawn = [one for one in drawn if one[1] is not None]
    first_Q, log_qs, known = zip(*drawn, strict=True) if drawn else ((), (), ())
    return drawn_requests(first_Q, log_qs, np.array(known, np.bool_))


def _trimmed(history_B3T: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without the columns at the end in which nobody has an event, but for one."""
    used_T = np.flatnonzero(history_B3T[:, 0].any(0))
    return history_B3T[..., : used_T[-1] + 1 if len(used_T) else 1]


def moved(part: Part, device: torch.device) -> Part:
    """A part of a batch on a device, but for keys."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(part):  # type: ignore[arg-type]
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            changes[field.name] = moved(value, device)
        elif isinstance(value, Tensor) and "key" not in field.name:
            changes[field.name] = value.to(device, non_blocking=True)
    return dataclasses.replace(part, **changes)  # type: ignore[type-var]
