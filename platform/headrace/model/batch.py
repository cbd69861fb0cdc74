"""Batches: samples grouped by request, as the tensors that the ranker reads.

    B requests   C candidates of all requests together   T history   A user attributes   F features
    U distinct items   M modalities   L tokens of a modality

Requests have different numbers of candidates; `request_C` says whose each one is:

    request 0: items a b c      request_C = 0 0 0 1 1
    request 1: items d e        item_C    = rows of a b c d e in the distinct items
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.features.assemble import RequestFeatures
from headrace.model.tokens import ContentTable
from headrace.sample import Sample

MAX_USER_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step of training, or one request of serving, gives to the ranker."""

    user_key_B: Tensor
    user_token_BA: Tensor  # keys of the attributes, 0 where there are fewer
    history_item_BT: Tensor  # rows of `item_key_U`
    history_mask_BT: Tensor  # True where there is an event
    history_age_BT: Tensor  # ms
    history_clicked_BT: Tensor
    item_key_U: Tensor  # the distinct items of candidates and histories
    item_token_UML: Tensor  # keys of their content tokens, 0 where there are fewer
    request_C: Tensor
    item_C: Tensor  # rows of `item_key_U`
    dense_CF: Tensor
    clicked_C: Tensor


def batch_of_samples(samples: Sequence[Sample], content: ContentTable) -> Batch:
    """One training batch; the samples must come from one feature schema."""
    return make_batch(
        [sample.user_key for sample in samples],
        [sample.user_token_keys for sample in samples],
        [sample.item_keys for sample in samples],
        [RequestFeatures(sample.dense_NF, sample.history_3T) for sample in samples],
        content,
        [label for sample in samples for label in sample.clicked],
    )


def make_request_batch(
    user_key: int,
    user_tokens: tuple[int, ...],
    features: RequestFeatures,
    history_rows_T: NDArray[np.int64],
    candidate_rows_C: NDArray[np.int64],
) -> Batch:
    """One request against an item side that exists already: items are rows of that side."""
    none = torch.zeros(0, dtype=torch.int64)
    return Batch(
        user_key_B=torch.tensor([user_key]),
        user_token_BA=torch.from_numpy(_user_tokens([user_tokens])),
        history_item_BT=torch.from_numpy(history_rows_T)[None],
        history_mask_BT=torch.from_numpy(features.history_3T[0] != 0)[None],
        history_age_BT=torch.from_numpy(features.history_3T[1])[None],
        history_clicked_BT=torch.from_numpy(features.history_3T[2])[None],
        item_key_U=none,
        item_token_UML=none,
        request_C=torch.zeros(len(candidate_rows_C), dtype=torch.int64),
        item_C=torch.from_numpy(candidate_rows_C),
        dense_CF=torch.from_numpy(features.dense_NF),
        clicked_C=torch.zeros(0),
    )


def make_batch(
    user_keys: Sequence[int],
    user_tokens: Sequence[tuple[int, ...]],
    item_keys: Sequence[Sequence[int]],
    features: Sequence[RequestFeatures],
    content: ContentTable,
    clicked: Sequence[int],
) -> Batch:
    """The batch of these requests; `clicked` has one label per candidate."""
    history_B3T = np.stack([f.history_3T for f in features])
    candidate_key_C = np.concatenate([np.asarray(keys, dtype=np.int64) for keys in item_keys])
    every_key = np.concatenate([candidate_key_C, history_B3T[:, 0].ravel()])
    item_key_U, item_of = np.unique(every_key, return_inverse=True)
    num_candidates = len(candidate_key_C)
    counts_B = torch.tensor([len(keys) for keys in item_keys])
    return Batch(
        user_key_B=torch.tensor(user_keys),
        user_token_BA=torch.from_numpy(_user_tokens(user_tokens)),
        history_item_BT=torch.from_numpy(
            item_of[num_candidates:].reshape(len(user_keys), history_B3T.shape[2])
        ),
        history_mask_BT=torch.from_numpy(history_B3T[:, 0] != 0),
        history_age_BT=torch.from_numpy(history_B3T[:, 1]),
        history_clicked_BT=torch.from_numpy(history_B3T[:, 2]),
        item_key_U=torch.from_numpy(item_key_U),
        item_token_UML=torch.from_numpy(content.tokens_UML(item_key_U)),
        request_C=torch.repeat_interleave(torch.arange(len(user_keys)), counts_B),
        item_C=torch.from_numpy(item_of[:num_candidates].reshape(-1)),
        dense_CF=torch.from_numpy(np.concatenate([f.dense_NF for f in features])),
        clicked_C=torch.tensor(clicked, dtype=torch.float32),
    )


def _user_tokens(user_tokens: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    """[B, A]: the attributes' keys, padded with zeros."""
    token_BA = np.zeros((len(user_tokens), MAX_USER_TOKENS), dtype=np.int64)
    for row, tokens in enumerate(user_tokens):
        kept = tokens[:MAX_USER_TOKENS]
        token_BA[row, : len(kept)] = kept
    return token_BA
