"""Blending: the ranker's score and the ranks that sources gave, as one score by which slates go.

The ranker says how probable a choice is of what is shown. Where nobody knows what was shown, or
where a log is of what users came for by themselves, how they come upon items counts beside it, and
sources know that. Weights are those of an application file; `BlendFit` finds them in a log.

C candidates   S signals
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.application.blend import RANKER
from headrace.pipeline.candidates import Candidates
from headrace.slates.rank import RankContext

LEAST: Final = 1e-6  # of a score whose logarithm is a signal
PRIOR: Final = 10.0  # Hessian of the weights before any choice: what they are needs some of them

Floats = NDArray[np.float64]


def signals(candidates: Candidates, names: tuple[str, ...], limit: int) -> Floats:
    """[C, S]: the logarithm of the ranker's score, and by source the negative one of the rank in
    its list, 1 for the first; where it did not propose a candidate that behind `limit`."""
    assert candidates.score_C is not None, "nothing has ranked these"
    signal_CS = np.empty((len(candidates), len(names)))
    for column, name in enumerate(names):
        if name == RANKER:
            signal_CS[:, column] = np.log(np.maximum(candidates.score_C, LEAST))
        else:
            rank_C = np.minimum(candidates.rank_in(name), limit)
            signal_CS[:, column] = -np.log1p(rank_C)
    return signal_CS


class Blend:
    """The work of the stage `blend`: candidates by the weighted sum of their signals."""

    def __init__(self, weights: Mapping[str, float], limit: int) -> None:
        self.names, self._limit = tuple(weights), limit
        self.weight_S: Floats = np.array([*weights.values()], np.float64)

    def __call__(self, context: RankContext) -> None:
        """Score the candidates anew, and put the best first; those that nothing has ranked stay."""
        candidates = context.candidates
        if candidates.score_C is not None:
            score_C = self.signals(candidates) @ self.weight_S
            candidates.score_C = score_C.astype(np.float32)
            candidates.keep(np.argsort(-score_C, kind="stable"), "blend")

    def signals(self, candidates: Candidates) -> Floats:
        """[C, S]: of these candidates, which are ranked."""
        return signals(candidates, self.names, self._limit)


class BlendFit:
    """A fit of weights, choice by choice: each candidate is chosen with a probability proportional
    to the exponential of its score.

    Recursive Newton steps: the curvature adds up, so the steps become shorter by themselves, and
    there is no rate to tune.
    """

    def __init__(self, first_S: Floats) -> None:
        self.weight_S: Floats = first_S.copy()
        self._hessian_SS = np.eye(len(first_S)) * PRIOR

    def learn(self, signal_CS: Floats, is_chosen_C: NDArray[np.bool_]) -> None:
        """Take in some candidates and which of them were chosen; nothing where none was."""
        if not is_chosen_C.any():
            return
        score_C = signal_CS @ self.weight_S
        p_C = np.exp(score_C - score_C.max())
        p_C /= p_C.sum()
        expected_S = p_C @ signal_CS
        centred_CS = signal_CS - expected_S
        self._hessian_SS += (centred_CS * p_C[:, None]).T @ centred_CS
        gradient_S = centred_CS[is_chosen_C].mean(0)
        self.weight_S = self.weight_S + np.linalg.solve(self._hessian_SS, gradient_S)
