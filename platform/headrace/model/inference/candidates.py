"""The candidates' logits in numpy, as `Ranker.score` makes them of their sides and a user's.

    C candidates   T past events   S places of the history   F features   E entries of factors
    K logits   J heads   A experts   P width of a part   R rank   H hidden   X and Y anything

The products of one input are one: of the features those of the pair's context, of the linear part
and of the last layer; and so on through the network, to whose layers what the last layer reads of
them is put beside. Features that are the same for all candidates, as a user's are, are multiplied
once: with biases and the user's side they are the weights of an input that is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints
from headrace.model.inference.affine import Affine, Floats, array, beside, softmax, widths
from headrace.model.inference.user import UserSide
from headrace.model.item_factors import GAIN, LEAST_SHARE, NUM_AFFINITIES
from headrace.model.layers.scale import RATE_MARGIN
from headrace.model.layers.similarity import NUM_BINS, NUM_GROUPS, NUM_SIMILARITIES, REACH
from headrace.model.ranker import Ranker

ZERO, ONE = np.float32(0), np.float32(1)
LARGEST: Final = np.float32(5)  # of a feature, in units of its deviation
NUM_PLACES: Final = (NUM_GROUPS + 1) * NUM_BINS  # the last for events that do not exist


class CandidateForward:
    """The network of one version, from the user's and the items' sides on."""

    def __init__(self, ranker: Ranker) -> None:
        config, last = ranker.config, ranker.last
        self._pair, self._num_dense = config.pair, config.num_dense
        self._scale = _Scale(ranker)
        ends = np.cumsum(last.group_sizes)[:-1]
        groups = np.split(array(last.weight_RK), ends)
        constant_1K, of_dense_FK, of_crossed_PK, of_hidden_HK, of_second_HK, of_random_NK = groups
        linear = Affine.of(ranker.linear)
        linear = Affine(linear.weight_XY + of_dense_FK, linear.bias_Y + constant_1K[0])
        num_inputs = config.num_dense + NUM_AFFINITIES + NUM_SIMILARITIES
        self._first = beside(Affine.of(ranker.context), linear.padded(num_inputs))
        self._random = Affine(array(last.mix_FN), array(last.threshold_N))
        self._cross = _Cross(ranker)
        first_XH = array(ranker.first.weight.T)
        self._hidden_XY = np.concatenate([first_XH, of_crossed_PK], axis=1)
        self._second = beside(Affine.of(ranker.second), Affine.linear(of_hidden_HK))
        self._heads = _Heads(ranker, of_second_HK)
        self._of_random_NK = of_random_NK

    def __call__(self, user: UserSide, sides: Sequence[Floats], dense_CF: Floats) -> Floats:
        """[C, K]: the logits. `sides` are the parts of the candidates' side, in its order."""
        query_CD, content_CW, part_CP, hidden_CH, bias_CK, factor_CE = sides
        affinity_2C = _affinities(user.factor_F, factor_CE)
        similar_XC = similarities(user.content_WT.T @ content_CW.T, user.group_GT)
        of_first_CX, random_CN = self._of_inputs(user, dense_CF, affinity_2C, similar_XC)
        num_hidden = hidden_CH.shape[1]
        end = self._pair + num_hidden
        logit_CK = of_first_CX[:, end:]
        found_CY = softmax(user.key_DS.T @ query_CD.T + user.far_S[:, None]).T @ user.value_SY
        parts_CX = self._parts(user, part_CP, found_CY, of_first_CX[:, : self._pair])
        of_cross_CX = self._cross(parts_CX) @ self._hidden_XY
        next_CH = of_cross_CX[:, :num_hidden]
        next_CH += of_first_CX[:, self._pair : end]
        next_CH += hidden_CH
        np.maximum(next_CH, ZERO, out=next_CH)
        of_hidden_CX = self._second(next_CH)
        second_CH = of_hidden_CX[:, : num_hidden // 2]
        np.maximum(second_CH, ZERO, out=second_CH)
        logit_CK += self._heads(second_CH).T
        logit_CK += of_cross_CX[:, num_hidden:]
        logit_CK += of_hidden_CX[:, num_hidden // 2 :]
        logit_CK += random_CN @ self._of_random_NK
        logit_CK += bias_CK
        return logit_CK

    def _of_inputs(
        self, user: UserSide, dense_CF: Floats, affinity_2C: Floats, similar_XC: Floats
    ) -> tuple[Floats, Floats]:
        """The first products of the features, with all that is the same for the candidates, and
        the random functions."""
        varies_F = (dense_CF != dense_CF[:1]).any(0)
        varying, same_F = np.flatnonzero(varies_F), self._scale(dense_CF[:1])[0]
        same_F[varying] = ZERO
        num, end = self._num_dense, self._num_dense + NUM_AFFINITIES
        first_XY, random_XN = self._first.weight_XY, self._random.weight_XY
        of_user = np.concatenate([user.context_X, user.hidden_H, user.bias_K])
        same_Y = same_F @ first_XY[:num] + self._first.bias_Y + of_user
        same_N = same_F @ random_XN[:num] + self._random.bias_Y
        input_XC = np.concatenate(
            [
                self._scale(dense_CF.take(varying, axis=1), varying).T,
                affinity_2C,
                np.ones((1, len(dense_CF)), np.float32),
                similar_XC,
            ]
        )
        weights_XY = first_XY[varying], first_XY[num:end], same_Y[None], first_XY[end:]
        weights_XN = random_XN[varying], random_XN[num:end], same_N[None]
        of_first_CX = input_XC.T @ np.concatenate(weights_XY)
        random_CN = input_XC[: len(varying) + NUM_AFFINITIES + 1].T @ np.concatenate(weights_XN)
        np.maximum(random_CN, ZERO, out=random_CN)
        return of_first_CX, random_CN

    def _parts(
        self, user: UserSide, part_CP: Floats, found_CY: Floats, context_CP: Floats
    ) -> Floats:
        """[C, 5 P]: the parts of the pair side by side, as `Ranker.score` has them."""
        pair = self._pair
        parts_CX = np.empty((len(part_CP), 5 * pair), np.float32)
        parts_CX[:, :pair] = part_CP
        np.multiply(part_CP, user.part_X, out=parts_CX[:, pair : 2 * pair])
        parts_CX[:, 2 * pair : 3 * pair] = found_CY[:, :pair]
        np.multiply(found_CY[:, pair:], part_CP, out=parts_CX[:, 3 * pair : 4 * pair])
        np.maximum(context_CP, ZERO, out=parts_CX[:, 4 * pair :])
        return parts_CX


class _Scale:
    """The running scale, as it is: rates are read as log odds."""

    def __init__(self, ranker: Ranker) -> None:
        scale = ranker.scale
        self._is_rate_F = scale.is_rate_F.numpy()
        deviation_F = (array(scale.second_F) / float(scale.count)).clip(1e-4) ** -0.5
        self._factor_F = deviation_F.astype(np.float32)
        self._mean_F = array(scale.mean_F)

    def __call__(self, dense_CX: Floats, columns: Ints | slice = slice(None)) -> Floats:
        """[C, X]: these columns of the features."""
        scaled_CX = dense_CX.copy()
        rates = np.flatnonzero(self._is_rate_F[columns])
        scaled_CX[:, rates] = _logit(scaled_CX.take(rates, axis=1), RATE_MARGIN)
        scaled_CX -= self._mean_F[columns]
        scaled_CX *= self._factor_F[columns]
        clip(scaled_CX, -LARGEST, LARGEST)
        return scaled_CX


class _Cross:
    """The gated cross layers; the hard sigmoid reads a sixth of the gate's map, and a half."""

    def __init__(self, ranker: Ranker) -> None:
        layers = ranker.cross
        self._layers = [
            (Affine.of(down).weight_XY, Affine.of(cross), _sixth(Affine.of(gate)))
            for down, cross, gate in zip(layers.down, layers.cross, layers.gate, strict=True)
        ]

    def __call__(self, first_CX: Floats) -> Floats:
        x_CX = first_CX
        for down_XR, cross, gate in self._layers:
            read_CR = x_CX @ down_XR
            rank = read_CR.shape[1] // 2
            gate_CX = gate(read_CR[:, rank:])
            clip(gate_CX, ZERO, ONE)
            gate_CX *= cross(read_CR[:, :rank])
            gate_CX *= first_CX
            gate_CX += x_CX
            x_CX = gate_CX
        return x_CX


class _Heads:
    """The experts and the gates of all heads, with the last layer's share beside them.

    Candidates lie along rows here: sums over few experts are sums of long rows then.
    """

    def __init__(self, ranker: Ranker, of_second_HK: Floats) -> None:
        heads = ranker.heads
        self._num_heads, self._num_experts = heads.closed_JE.shape
        gates = Affine.of(heads.gates)
        gates = Affine(gates.weight_XY, gates.bias_Y + array(heads.closed_JE).reshape(-1))
        maps = Affine.of(heads.experts), gates, Affine.linear(of_second_HK)
        first = beside(*maps)
        self._weight_YX, self._bias_Y1 = first.weight_XY.T.copy(), first.bias_Y[:, None]
        self._parts = widths(*maps)
        self._out_KW, self._bias_K1 = array(heads.out.weight), array(heads.out.bias)[:, None]
        self._head_K: Ints = heads.head_K.numpy()

    def __call__(self, second_CH: Floats) -> Floats:
        """[K, C]: the logits."""
        first_YC: Floats = self._weight_YX @ second_CH.T
        first_YC += self._bias_Y1
        expert_XC, gate_XC, logit_KC = (first_YC[part] for part in self._parts)
        num = len(second_CH)
        np.maximum(expert_XC, ZERO, out=expert_XC)
        of_expert_AKC = self._out_KW @ expert_XC.reshape(self._num_experts, -1, num)
        gate_AJC = gate_XC.reshape(self._num_heads, self._num_experts, num).transpose(1, 0, 2)
        gate_AKC = softmax(gate_AJC)[:, self._head_K]
        summed_KC: Floats = np.add.reduce(gate_AKC * of_expert_AKC, 0)
        summed_KC += logit_KC
        summed_KC += self._bias_K1
        return summed_KC


def similarities(cosine_TC: Floats, group_GT: NDArray[np.bool_]) -> Floats:
    """[X, C]: the similarity tiers of cosines with past events of these groups."""
    num_events, num = cosine_TC.shape
    num_bins = NUM_GROUPS * NUM_BINS
    similar_XC = np.zeros((NUM_SIMILARITIES, num), np.float32)
    if not num_events:
        return similar_XC
    first_T = np.full(num_events, num_bins, np.float32)
    for group, member_T in enumerate(group_GT):
        first_T[member_T] = group * NUM_BINS
        if member_T.any():
            of_group_TC = cosine_TC[member_T]
            share = np.float32(1 / len(of_group_TC))
            similar_XC[num_bins + group] = share * np.add.reduce(of_group_TC, 0)
            np.maximum.reduce(of_group_TC, 0, out=similar_XC[num_bins + NUM_GROUPS + group])
    place_TC = cosine_TC * np.float32(REACH)
    place_TC += (first_T + np.float32(NUM_BINS / 2))[:, None]
    bin_TC = place_TC.astype(np.int64)
    bin_TC *= num
    bin_TC += np.arange(num)
    count_XC = np.bincount(bin_TC.reshape(-1), minlength=num * NUM_PLACES).reshape(-1, num)
    log_X = np.log1p(np.arange(num_events + 1, dtype=np.float32))
    similar_XC[:num_bins] = log_X.take(count_XC[:num_bins])
    return similar_XC


def _affinities(factor_F: Floats, entry_CE: Floats) -> Floats:
    """[2, C]: the affinities of candidates, as `item_factors` has them."""
    affinity_2C = np.empty((NUM_AFFINITIES, len(entry_CE)), np.float32)
    affinity_2C[0] = entry_CE[:, -1]
    np.add(entry_CE[:, -1], entry_CE[:, :-1] @ factor_F, out=affinity_2C[1])
    affinity_2C = _logit(affinity_2C, LEAST_SHARE)
    affinity_2C *= np.float32(GAIN)
    return affinity_2C


def _logit(share_CX: Floats, margin: float) -> Floats:
    """[C, X]: log odds of shares, which are kept away from 0 and 1 in place."""
    clip(share_CX, np.float32(margin), np.float32(1 - margin))
    odds_CX: Floats = share_CX / (ONE - share_CX)
    return np.log(odds_CX, out=odds_CX)


def clip(value_CX: Floats, least: np.float32, most: np.float32) -> None:
    """Clip values in place."""
    np.maximum(value_CX, least, out=value_CX)
    np.minimum(value_CX, most, out=value_CX)


def _sixth(gate: Affine) -> Affine:
    return Affine(gate.weight_XY / np.float32(6), gate.bias_Y / np.float32(6) + np.float32(0.5))
