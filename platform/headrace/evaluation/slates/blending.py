"""The blend of an evaluation: weights fitted on earlier choices, or the application's.

C candidates   S signals
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.application.current import APPLICATION
from headrace.application.sources import CASES, RANKER, Weights
from headrace.features.aggregation.facts import Ints
from headrace.slates.blend import BlendFit, case_of, put_in_order, signals
from headrace.slates.rank import RankContext

FIRST: Final = 0.3  # weight of every signal before any choice


class WalkedBlend:
    """The work of the stage `blend` of an evaluation; it remembers the last request's signals."""

    def __init__(self, limit: int) -> None:
        self._limit, self._names = limit, (RANKER, *APPLICATION.sources)
        first_S = np.full(len(self._names), FIRST)
        self._fits = {case: BlendFit(first_S) for case in CASES}
        for case, weights in APPLICATION.blend.items():
            self._fits[case].weight_S = np.array([weights.get(one, 0.0) for one in self._names])
        self.ranked_rows: Ints = np.zeros(0, np.int64)  # in the order of the ranker
        self._signal_CS: NDArray[np.float64] | None = None
        self._case = ""

    def __call__(self, context: RankContext) -> None:
        """Blend the candidates of a request."""
        candidates = context.candidates
        self.ranked_rows, self._signal_CS = candidates.row_C, None
        if candidates.score_C is not None:
            self._case = case_of(context)
            self._signal_CS = signals(context, self._names, self._limit)
            weight_S = self._fits[self._case].weight_S
            put_in_order(candidates, self._signal_CS @ weight_S, float(weight_S[0]))

    def learn(self, chosen_rows: AbstractSet[int]) -> None:
        """Take in which candidates of the last request were chosen; nothing where the application
        says the weights."""
        if self._signal_CS is not None and not APPLICATION.blend:
            is_chosen_C = np.isin(self.ranked_rows, list(chosen_rows))
            self._fits[self._case].learn(self._signal_CS, is_chosen_C)

    def weights(self) -> dict[str, Weights]:
        """The weights by case and signal, as an application file has them."""
        return {
            case: dict(zip(self._names, fit.weight_S.round(3).tolist(), strict=True))
            for case, fit in self._fits.items()
        }
