"""One user's side in numpy, as `UserTower` and `ItemFactors` make it of profile and history.

T past events   S = 1 + T places   P known events   D width   H hidden   K logits
X of a pair's part   F factors   W width of an item's content   G groups of events
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints, grades, told_apart
from headrace.model.batch import BatchRequest
from headrace.model.config import RankerConfig
from headrace.model.embedding.table import DynamicEmbedding
from headrace.model.inference.affine import Affine, Floats, array, beside, softmax
from headrace.model.item_factors import NUM_ENTRIES, ItemFactors
from headrace.model.layers.target_attention import FAR
from headrace.model.layers.user_tower import TIME_BUCKETS, CausalLayer
from headrace.model.ranker import WORDS, Ranker

EPSILON: Final = 1e-5  # of layer norms
EYE: Final = np.eye(NUM_ENTRIES - 1)


@dataclass(frozen=True, slots=True)
class PastItems:
    """The past items of a user: their representations in histories."""

    vector_TD: Floats
    content_TW: Floats


@dataclass(frozen=True, slots=True)
class UserSide:
    """The representations of one user and his history, as the candidates meet them."""

    part_X: Floats
    hidden_H: Floats
    bias_K: Floats
    context_X: Floats
    factor_F: Floats
    key_DS: Floats  # scaled for attention
    value_SY: Floats
    far_S: Floats
    content_WT: Floats
    group_GT: NDArray[np.bool_]  # events with a wish, and those without


class UserForward:
    """The user tower of one version."""

    def __init__(self, ranker: Ranker) -> None:
        config, user = ranker.config, ranker.user
        self._length, self._dim = config.history, config.dim
        self._tables = {name: _Rows(table) for name, table in ranker.tables.items()}
        self._factors: ItemFactors = ranker.factors
        self._aversions = sum(1 << config.actions.index(name) for name in config.aversions)
        self._profile = Affine.of(user.profile)
        self._age_bD, self._action_AD = array(user.age.weight), array(user.action.weight)
        self._layers = [_layer(one, config) for one in user.layers]
        self._norm = _Norm.of(user.norm)
        self._first = beside(Affine.of(user.part), Affine.of(user.first))
        self._place = beside(Affine.of(user.key), Affine.of(user.value))
        with torch.no_grad():
            every = torch.arange(len(config.surfaces) + 1)
            self._context_sX, self._bias_sK = map(array, user.surface(every))

    def __call__(self, request: BatchRequest, past: PastItems) -> UserSide:
        """The side of the user who asks; of his history the items are computed already."""
        history_3P = trimmed(request.features.history_3T)
        key_T, age_T, outcome_T = history_3P[:, : self._length]
        action_T = told_apart(outcome_T)
        far_S = np.concatenate([np.zeros(1, np.float32), np.where(key_T != 0, 0, FAR)])
        place_SD = np.concatenate([self._of_user(request)[None], past.vector_TD])
        place_SD[1:] += self._action_AD.take(action_T, axis=0)
        place_SD[1:] += self._age_bD.take(time_bucket(age_T), axis=0)
        far_SS = far_S.astype(np.float32) + _later(len(far_S))
        for layer in self._layers:
            place_SD = layer(place_SD, far_SS)
        place_SD = self._norm(place_SD)
        (of_first,) = self._first(place_SD[:1])
        num_parts = self._context_sX.shape[1]
        place_SX = self._place(place_SD)
        user_keys = np.array([request.user_key], np.int64)
        wish_T = np.where(action_T & self._aversions, 0, action_T)
        has_T = key_T != 0
        return UserSide(
            part_X=of_first[:num_parts],
            hidden_H=of_first[num_parts:],
            bias_K=self._tables["user_bias"](user_keys)[0] + self._bias_sK[request.surface],
            context_X=self._context_sX[request.surface],
            factor_F=self._folded(request.user_words, history_3P),
            key_DS=place_SX[:, : self._dim].T * np.float32(self._dim**-0.5),
            value_SY=place_SX[:, self._dim :],
            far_S=far_S.astype(np.float32),
            content_WT=past.content_TW.T,
            group_GT=np.stack([has_T & (wish_T != 0), has_T & (wish_T == 0)]),
        )

    def _of_user(self, request: BatchRequest) -> Floats:
        """[D]: the place of the request itself."""
        words, told = request.user_words, request.context_words
        attribute_D = self._mean_of(words) + self._mean_of(told)
        id_1D = self._tables["user"](np.array([request.user_key], np.int64))
        of_user_D: Floats = self._profile(attribute_D[None])[0] + id_1D[0]
        return of_user_D

    def _mean_of(self, words: Sequence[int]) -> Floats:
        """[D]: the mean of the words' embeddings."""
        if not words:
            return np.zeros(self._dim, np.float32)
        mean_D: Floats = self._tables[WORDS](np.array(words, np.int64)).mean(0)
        return mean_D

    def _folded(self, words: Sequence[int], history_3P: Ints) -> Floats:
        """[F]: the user's part of the item factors, as `item_factors.folded` solves it."""
        factors, key_P = self._factors, history_3P[0]
        prior_F = factors.attributes(np.array(words, np.int64)).sum(0)
        entry_PE = factors.of(torch.from_numpy(key_P)).numpy().astype(np.float64)
        x_PF, there_P = entry_PE[:, :-1], entry_PE[:, -2] != 0
        known_P = entry_PE[:, -1] + x_PF @ prior_F
        residual_P = (grades(history_3P[2]) - known_P) * there_P
        matrix_FF = x_PF.T @ x_PF + factors.ridge * EYE
        solved_F = np.linalg.solve(matrix_FF, x_PF.T @ residual_P)
        return np.asarray(prior_F + solved_F, np.float32)


class _Rows:
    """The rows of a table, which stays as it is."""

    def __init__(self, table: DynamicEmbedding) -> None:
        self._index, self._weight_RD = table.index, table.weight_RD.detach().numpy()

    def __call__(self, key_N: Ints) -> Floats:
        rows_ND: Floats = self._weight_RD.take(self._index.find(key_N), axis=0)
        return rows_ND


@dataclass(frozen=True, slots=True)
class _Norm:
    """A layer norm."""

    weight_D: Floats
    bias_D: Floats

    @classmethod
    def of(cls, norm: torch.nn.LayerNorm) -> _Norm:
        return cls(array(norm.weight), array(norm.bias))

    def __call__(self, value_SD: Floats) -> Floats:
        share: np.float32 = np.float32(1 / len(self.weight_D))
        centred_SD = value_SD.copy()
        centred_SD -= share * np.add.reduce(value_SD, 1, keepdims=True)
        variance_S1: Floats = share * np.add.reduce(np.square(centred_SD), 1, keepdims=True)
        centred_SD *= self.weight_D / np.sqrt(variance_S1 + np.float32(EPSILON))
        normed_SD: Floats = centred_SD + self.bias_D
        return normed_SD


class _Layer:
    """A causal layer. Of one head the products of its matrices are made before, as
    `CausalLayer._with_one_head` puts them together."""

    def __init__(self, layer: CausalLayer, num_heads: int) -> None:
        self._num_heads, dim = num_heads, layer.out.out_features
        self._norm_read, self._norm_feed = _Norm.of(layer.norm_read), _Norm.of(layer.norm_feed)
        self._up, self._down = Affine.of(layer.up), Affine.of(layer.down)
        self._read, self._out = Affine.of(layer.read), Affine.of(layer.out)
        self._scale = np.float32((dim // num_heads) ** -0.5)
        if num_heads == 1:
            query_DD, key_DD, value_DD = np.split(self._read.weight_XY, 3, axis=1)
            query_D, _, value_D = np.split(self._read.bias_Y, 3)
            self._read = Affine(query_DD @ key_DD.T, query_D @ key_DD.T)
            bias_D = value_D @ self._out.weight_XY + self._out.bias_Y
            self._out = Affine(value_DD @ self._out.weight_XY, bias_D)

    def __call__(self, place_SD: Floats, far_SS: Floats) -> Floats:
        normed_SD = self._norm_read(place_SD)
        read = self._with_one_head if self._num_heads == 1 else self._with_heads
        place_SD = place_SD + self._out(read(normed_SD, far_SS))
        fed_SD: Floats = place_SD + self._down(
            np.maximum(self._up(self._norm_feed(place_SD)), np.float32(0))
        )
        return fed_SD

    def _with_one_head(self, normed_SD: Floats, far_SS: Floats) -> Floats:
        logit_SS = self._read(normed_SD) @ normed_SD.T
        logit_SS *= self._scale
        logit_SS += far_SS
        seen_SD: Floats = softmax(logit_SS.T).T @ normed_SD
        return seen_SD

    def _with_heads(self, normed_SD: Floats, far_SS: Floats) -> Floats:
        parts = np.split(self._read(normed_SD), 3, axis=1)
        query, key, value = (
            one.reshape(len(one), self._num_heads, -1).transpose(1, 0, 2) for one in parts
        )
        logit = query @ key.transpose(0, 2, 1) * self._scale + far_SS
        weight = softmax(logit.transpose(2, 0, 1)).transpose(1, 2, 0)
        seen_SD: Floats = (weight @ value).transpose(1, 0, 2).reshape(len(normed_SD), -1)
        return seen_SD


def _layer(layer: torch.nn.Module, config: RankerConfig) -> _Layer:
    assert isinstance(layer, CausalLayer)
    return _Layer(layer, config.num_attention_heads)


def _later(size: int) -> Floats:
    """[S, S]: far where a place would read a later one."""
    later_SS: Floats = np.tril(np.full((size, size), 2 * FAR, np.float32), -1)
    return later_SS


def trimmed(history_3T: Ints) -> Ints:
    """Without the places at the end that have no event."""
    used_T = np.flatnonzero(history_3T[0])
    return history_3T[:, : used_T[-1] + 1 if len(used_T) else 0]


def time_bucket(ms_T: Ints) -> Ints:
    """The bucket of a duration, as the tower's `time_bucket` has it."""
    quarters_T = np.maximum(ms_T.astype(np.float32) / np.float32(250), np.float32(0.5))
    bucket_T: Ints = np.floor(np.log2(quarters_T)).astype(np.int64) + 1
    return np.clip(bucket_T, 0, TIME_BUCKETS - 1)
