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

from headrace.application.sources import BEGIN, RANKER, SESSION, Weights
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context
from headrace.slates.rank import RankContext

LEAST: Final = 1e-6  # of a score of the ranker whose logarithm is a signal
LEAST_OF_SOURCE: Final = 1e-3  # that is added to one of a source
PRIOR: Final = 10.0  # curvature before any choice: some of them are needed to move a weight

Floats = NDArray[np.float64]


def signals(context: Context, names: tuple[str, ...], limit: int) -> Floats:
    """[C, S]: the logarithms of the ranker's score and, by source, of its score, or where it has
    none of one over the rank in its list. A candidate that it did not propose has a score of next
    to nothing, and comes behind so many."""
    candidates = context.candidates
    assert candidates.score_C is not None, "nothing has ranked these"
    signal_CS = np.empty((len(candidates), len(names)))
    for column, name in enumerate(names):
        if name == RANKER:
            signal_CS[:, column] = _log(candidates.score_C)
            continue
        rank_C = candidates.rank_in(name)
        if name in context.scores:
            score_N = np.append(context.scores[name], 0.0)
            score_C = score_N[np.minimum(rank_C, len(score_N) - 1)]
            signal_CS[:, column] = np.log(score_C + LEAST_OF_SOURCE)
        else:
            signal_CS[:, column] = -np.log1p(np.minimum(rank_C, limit))
    return signal_CS


def case_of(context: Context) -> str:
    """Whether the user of a request is in a session, or begins one."""
    return SESSION if context.is_in_session() else BEGIN


class Blend:
    """The work of the stage `blend`: scores candidates anew, and puts the best first."""

    def __init__(self, weights: Mapping[str, Weights], limit: int) -> None:
        self._weights, self._limit = weights, limit

    def __call__(self, context: RankContext) -> None:
        """Blend the candidates of a request; those that nothing has ranked stay as they are."""
        candidates = context.candidates
        if candidates.score_C is not None:
            weights = self._weights[case_of(context)]
            signal_CS = signals(context, tuple(weights), self._limit)
            put_in_order(
                candidates, signal_CS @ np.array([*weights.values()]), weights.get(RANKER, 0)
            )


def put_in_order(candidates: Candidates, score_C: Floats, of_ranker: float) -> None:
    """Give candidates these scores, in which the ranker's has this weight, and put the best first.
    Scores that a policy drew change with them."""
    assert candidates.score_C is not None, "nothing has ranked these"
    if candidates.drawn_DC is not None:
        more_DC = _log(candidates.drawn_DC) - _log(candidates.score_C)
        candidates.drawn_DC = (score_C + of_ranker * more_DC).astype(np.float32)
    candidates.score_C = score_C.astype(np.float32)
    candidates.keep(np.argsort(-score_C, kind="stable"), "blend")


def _log(score_X: NDArray[np.float32]) -> NDArray[np.float32]:
    log_X: NDArray[np.float32] = np.log(np.maximum(score_X, LEAST))
    return log_X


class BlendFit:
    """A fit of weights, choice by choice: each candidate is chosen with a probability proportional
    to the exponential of its score (McFadden's conditional logit).

    Recursive Newton steps: the curvature adds up, so the steps become shorter by themselves, and
    there is no rate to tune.
    """

    def __init__(self, first_S: Floats) -> None:
        self.weight_S: Floats = first_S.copy()
        self._curvature_SS: Floats = np.eye(len(first_S)) * PRIOR

    def learn(self, signal_CS: Floats, is_chosen_C: NDArray[np.bool_]) -> None:
        """Take in some candidates and which of them were chosen; nothing where none was."""
        if not is_chosen_C.any():
            return
        score_C = signal_CS @ self.weight_S
        p_C = np.exp(score_C - score_C.max())
        p_C /= p_C.sum()
        centred_CS = signal_CS - p_C @ signal_CS
        self._curvature_SS += (centred_CS * p_C[:, None]).T @ centred_CS
        gradient_S = centred_CS[is_chosen_C].mean(0)
        self.weight_S = self.weight_S + np.linalg.solve(self._curvature_SS, gradient_S)
