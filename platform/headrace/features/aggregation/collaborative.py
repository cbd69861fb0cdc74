"""The collaborative vector: an entity folded into a factor model, exactly, at every fact.

U states   N facts   Q states read   D width of the items' vectors   E entries of a state
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.features.aggregation.accumulators import State, Values
from headrace.features.aggregation.facts import CLICK, SHOWN, Facts, Ints


@dataclass(frozen=True, slots=True)
class NormalEquations:
    """Sums of x xᵀ and x (y - mean) over the shown items' vectors x and a measure y.

    `read` gives the solution of the ridge regression, [Q, D]: the vector whose products with item
    vectors predict y - mean best (Hu, Koren and Volinsky, 2008, section 4). Facts without item
    vectors of this width add nothing.
    """

    width: int = 8
    ridge: float = 1.0
    measure: str = CLICK
    mean: float = 0.5

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(("<f4", (self.width * (self.width + 3) // 2,)))

    def initialize(self) -> State:
        return np.zeros(self.width * (self.width + 3) // 2, "<f4")

    def add(self, state_UE: State, facts: Facts) -> None:
        if facts.factor_ND.shape[1] != self.width:
            return
        shown_N, label_N = facts.measures([SHOWN, self.measure]).T
        x_ND = facts.factor_ND
        row, column = np.triu_indices(self.width)
        outer_NE = x_ND[:, row] * x_ND[:, column] * shown_N[:, None]
        right_ND = x_ND * (label_N - self.mean * shown_N)[:, None]
        np.add.at(state_UE, facts.entity_N, np.concatenate([outer_NE, right_ND], axis=1))

    def merge(self, state_UE: State, other_UE: State) -> None:
        state_UE += other_UE

    def read(self, state_QE: State, now_ms_Q: Ints) -> Values:
        row, column = np.triu_indices(self.width)
        matrix_QDD = np.zeros((len(state_QE), self.width, self.width))
        matrix_QDD[:, row, column] = matrix_QDD[:, column, row] = state_QE[:, : len(row)]
        matrix_QDD += self.ridge * np.eye(self.width)
        solution_QD1 = np.linalg.solve(matrix_QDD, state_QE[:, len(row) :, None].astype(np.float64))
        return solution_QD1[..., 0].astype(np.float64)
