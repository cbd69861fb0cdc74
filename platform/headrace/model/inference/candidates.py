"""The candidates' logits in numpy, as `Ranker.score` makes them of their sides and a user's.

    C candidates   T past events   S places of the history   F features   E entries of factors
    K logits   J heads   A experts   P width of a part   R rank   H hidden   X and Y anything

The products of one input are one: of the features those of the pair's context, of the linear part,
of the random functions and of the last layer; and so on through the network, to whose layers what
the last layer reads of them is put beside.
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
        num_inputs = config.num_dense + NUM_AFFINITIES + NUM_SIMILARITIES
        linear = Affine.of(ranker.linear)
        linear = Affine(linear.weight_XY + of_dense_FK, linear.bias_Y + constant_1K[0])
        random = Affine(array(last.mix_FN), array(last.threshold_N))
        maps = Affine.of(ranker.context), linear.padded(num_inputs), random.padded(num_inputs)
        self._first = beside(*maps)
        self._parts = widths(*maps)
        self._cross = _Cross(ranker)
        self._hidden = beside(Affine.of(ranker.first), Affine.linear(of_crossed_PK))
        self._second = beside(Affine.of(ranker.second), Affine.linear(of_hidden_HK))
        self._heads = _Heads(ranker, of_second_HK)
        self._of_random_NK = of_random_NK

    def __call__(self, user: UserSide, sides: Sequence[Floats], dense_CF: Floats) -> Floats:
        """[C, K]: the logits. `sides` are the parts of the candidates' side, in its order."""
        query_CD, content_CW, part_CP, hidden_CH, bias_CK, factor_CE = sides
        weight_CS = query_CD @ user.key_DS
        weight_CS += user.far_S
        found_CY = softmax(weight_CS) @ user.value_SY
        found_CP, compared_CP = found_CY[:, : self._pair], found_CY[:, self._pair :]
        input_CX = np.empty((len(dense_CF), len(self._first.weight_XY)), np.float32)
        self._scale(dense_CF, out=input_CX[:, : self._num_dense])
        affinity = input_CX[:, self._num_dense : self._num_dense + NUM_AFFINITIES]
        _affinities(user.factor_F, factor_CE, out=affinity)
        similarities(content_CW @ user.content_WT, user.group_GT, input_CX[:, -NUM_SIMILARITIES:])
        of_input_CX = self._first(input_CX)
        context_CX, logit_CK, random_CN = (of_input_CX[:, part] for part in self._parts)
        parts_CX = np.empty((len(dense_CF), 5 * self._pair), np.float32)
        parts = [parts_CX[:, n * self._pair : (n + 1) * self._pair] for n in range(5)]
        parts[0][:] = part_CP
        np.multiply(part_CP, user.part_X, out=parts[1])
        parts[2][:] = found_CP
        np.multiply(compared_CP, part_CP, out=parts[3])
        np.add(context_CX[:, : self._pair], user.context_X, out=parts[4])
        np.maximum(parts[4], ZERO, out=parts[4])
        of_cross_CX = self._hidden(self._cross(parts_CX))
        num_hidden = hidden_CH.shape[1]
        next_CH = of_cross_CX[:, :num_hidden]
        next_CH += context_CX[:, self._pair :]
        next_CH += hidden_CH
        next_CH += user.hidden_H
        np.maximum(next_CH, ZERO, out=next_CH)
        of_hidden_CX = self._second(next_CH)
        second_CH = of_hidden_CX[:, : num_hidden // 2]
        np.maximum(second_CH, ZERO, out=second_CH)
        np.maximum(random_CN, ZERO, out=random_CN)
        logit_CK += self._heads(second_CH)
        logit_CK += of_cross_CX[:, num_hidden:]
        logit_CK += of_hidden_CX[:, num_hidden // 2 :]
        logit_CK += random_CN @ self._of_random_NK
        logit_CK += bias_CK
        logit_CK += user.bias_K
        return logit_CK


class _Scale:
    """The running scale, as it is: rates are read as log odds."""

    def __init__(self, ranker: Ranker) -> None:
        scale = ranker.scale
        self._rates = np.flatnonzero(scale.is_rate_F.numpy())
        deviation_F = (array(scale.second_F) / float(scale.count)).clip(1e-4) ** -0.5
        self._factor_F = deviation_F.astype(np.float32)
        self._mean_F = array(scale.mean_F)

    def __call__(self, dense_CF: Floats, out: Floats) -> None:
        out[:] = dense_CF
        if len(self._rates):
            out[:, self._rates] = _logit(dense_CF.take(self._rates, axis=1), RATE_MARGIN)
        out -= self._mean_F
        out *= self._factor_F
        clip(out, -LARGEST, LARGEST)


class _Cross:
    """The gated cross layers; the hard sigmoid reads a sixth of the gate's map, and a half."""

    def __init__(self, ranker: Ranker) -> None:
        layers = ranker.cross
        self._layers = [
            (Affine.of(down), Affine.of(cross), _sixth(Affine.of(gate)))
            for down, cross, gate in zip(layers.down, layers.cross, layers.gate, strict=True)
        ]

    def __call__(self, first_CX: Floats) -> Floats:
        x_CX = first_CX
        for down, cross, gate in self._layers:
            read_CR = x_CX @ down.weight_XY
            rank = read_CR.shape[1] // 2
            gate_CX = gate(read_CR[:, rank:])
            clip(gate_CX, ZERO, ONE)
            gate_CX *= cross(read_CR[:, :rank])
            gate_CX *= first_CX
            gate_CX += x_CX
            x_CX = gate_CX
        return x_CX


class _Heads:
    """The experts and the gates of all heads, with the last layer's share beside them."""

    def __init__(self, ranker: Ranker, of_second_HK: Floats) -> None:
        heads = ranker.heads
        self._num_heads, self._num_experts = heads.closed_JE.shape
        gates = Affine.of(heads.gates)
        gates = Affine(gates.weight_XY, gates.bias_Y + array(heads.closed_JE).reshape(-1))
        maps = Affine.of(heads.experts), gates, Affine.linear(of_second_HK)
        self._first = beside(*maps)
        self._parts = widths(*maps)
        self._out_WK, self._bias_K = array(heads.out.weight.T), array(heads.out.bias)
        self._head_K: Ints = heads.head_K.numpy()

    def __call__(self, second_CH: Floats) -> Floats:
        of_second_CX = self._first(second_CH)
        expert_CX, gate_CX, logit_CK = (of_second_CX[:, part] for part in self._parts)
        num = len(second_CH)
        expert_CX = np.maximum(expert_CX, ZERO).reshape(num * self._num_experts, -1)
        of_expert_CAK = (expert_CX @ self._out_WK).reshape(num, self._num_experts, -1)
        gate_CJA = softmax(gate_CX.reshape(num, self._num_heads, self._num_experts))
        gate_CKA = gate_CJA if len(self._head_K) == self._num_heads else gate_CJA[:, self._head_K]
        summed_CK: Floats = (gate_CKA.transpose(0, 2, 1) * of_expert_CAK).sum(1)
        summed_CK += logit_CK
        summed_CK += self._bias_K
        return summed_CK


def similarities(cosine_CT: Floats, group_GT: NDArray[np.bool_], out: Floats) -> None:
    """[C, X]: the similarity tiers of cosines with past events of these groups."""
    num, num_events = cosine_CT.shape
    num_bins = NUM_GROUPS * NUM_BINS
    out[:, num_bins:] = ZERO
    if not num_events:
        out[:, :num_bins] = ZERO
        return
    first_T = np.full(num_events, NUM_GROUPS * NUM_BINS, np.float32)
    for group, member_T in enumerate(group_GT):
        first_T[member_T] = group * NUM_BINS
        if member_T.any():
            of_group_CT = cosine_CT[:, member_T]
            of_group_CT.mean(1, out=out[:, num_bins + group])
            of_group_CT.max(1, out=out[:, num_bins + NUM_GROUPS + group])
    place_CT = cosine_CT * np.float32(REACH)
    place_CT += first_T + np.float32(NUM_BINS / 2)
    bin_CT = place_CT.astype(np.int64)
    bin_CT += NUM_PLACES * np.arange(num)[:, None]
    count_CX = np.bincount(bin_CT.reshape(-1), minlength=num * NUM_PLACES)
    log_X = np.log1p(np.arange(num_events + 1, dtype=np.float32))
    out[:, :num_bins] = log_X.take(count_CX.reshape(num, -1)[:, :num_bins])


def _affinities(factor_F: Floats, entry_CE: Floats, out: Floats) -> None:
    """[C, 2]: the affinities of candidates, as `item_factors` has them."""
    out[:, 0] = entry_CE[:, -1]
    np.add(entry_CE[:, -1], entry_CE[:, :-1] @ factor_F, out=out[:, 1])
    np.multiply(_logit(out, LEAST_SHARE), np.float32(GAIN), out=out)


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
