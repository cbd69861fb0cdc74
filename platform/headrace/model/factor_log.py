"""The rows that item factors are fitted on: the last ones learned, and when to fit again."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.model.batch import Batch
from headrace.model.item_factors import ItemFactors, fit

MAX_ROWS: Final = 1 << 18
FIRST_ROWS: Final = 1_000  # before the first fit
GROWTH: Final = 1.25  # rows learned from one fit to the next, so that fits cost a share of learning


class FactorLog:
    """A ring of (user, item, grade)."""

    def __init__(self) -> None:
        self._user_R: NDArray[np.int64] = np.zeros(MAX_ROWS, np.int64)
        self._item_R: NDArray[np.int64] = np.zeros(MAX_ROWS, np.int64)
        self._grade_R: NDArray[np.float32] = np.zeros(MAX_ROWS, np.float32)
        self._num_rows, self._next_fit = 0, FIRST_ROWS

    def add(self, batch: Batch) -> None:
        """Take in the candidates of a batch of which it is known what came of them."""
        assert batch.items is not None
        candidates = batch.candidates
        grade_C = candidates.grade_C.cpu().numpy()
        known_K = np.flatnonzero(~np.isnan(grade_C))
        place_K = (self._num_rows + np.arange(len(known_K))) % MAX_ROWS
        self._user_R[place_K] = batch.users.key_B[candidates.request_C.cpu()].numpy()[known_K]
        self._item_R[place_K] = batch.items.key_U[candidates.item_C.cpu()].numpy()[known_K]
        self._grade_R[place_K] = grade_C[known_K]
        self._num_rows += len(known_K)

    def refitted(self, factors: ItemFactors) -> ItemFactors:
        """Fitted anew if it is time, else these factors."""
        if self._num_rows < self._next_fit:
            return factors
        self._next_fit = int(self._num_rows * GROWTH)
        kept = slice(min(self._num_rows, MAX_ROWS))
        grade_N = self._grade_R[kept].astype(np.float64)
        return fit(self._user_R[kept], self._item_R[kept], grade_N, factors)

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        kept = slice(min(self._num_rows, MAX_ROWS))
        columns: tuple[NDArray[Any], ...] = (self._user_R, self._item_R, self._grade_R)
        names = ("user", "item", "grade")
        rows = {n: torch.from_numpy(c[kept].copy()) for n, c in zip(names, columns, strict=True)}
        return {**rows, "num_rows": self._num_rows, "next_fit": self._next_fit}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the log that `state` described."""
        kept = slice(len(state["user"]))
        self._user_R[kept], self._item_R[kept] = state["user"].numpy(), state["item"].numpy()
        self._grade_R[kept] = state["grade"].numpy()
        self._num_rows, self._next_fit = state["num_rows"], state["next_fit"]
