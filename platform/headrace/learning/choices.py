"""Choices: where the chosen candidate of drawn requests came, as served before it was learned.

What was drawn says nothing of how often something is chosen, so there is no AUC, entropy or
calibration of it: only how far ahead of the others the chosen one was ranked.

    C candidates   Q drawn requests
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.metrics import DRAWN_TOP
from headrace.metrics.ranking import RankedLists, values_of_ranks
from headrace.model.drawn import DrawnRequests

SPAN: Final = 2_000  # requests


class ChoiceScores:
    """Recall@K, NDCG@K and MRR of the chosen among the drawn, by window and of the newest."""

    def __init__(self) -> None:
        self._windows: dict[int, RankedLists] = {}
        self._before, self._current = RankedLists(DRAWN_TOP), RankedLists(DRAWN_TOP)

    def take(self, p_C: NDArray[np.float32], drawn: DrawnRequests, window: int) -> None:
        """Take in a batch's probabilities of the click, in the window of this number."""
        known_Q = drawn.known_QJ[:, 0].numpy()
        rank_L = drawn.rank(torch.from_numpy(p_C)).numpy()[known_Q]
        values = values_of_ranks(np.arange(len(rank_L)), rank_L, DRAWN_TOP)
        for lists in (self._windows.setdefault(window, RankedLists(DRAWN_TOP)), self._current):
            lists.add_values(values, len(rank_L))
        if self._current.num_lists >= SPAN:
            self._before, self._current = self._current, RankedLists(DRAWN_TOP)

    def newest(self) -> RankedLists:
        """The newest `SPAN` to twice as many."""
        both = RankedLists(DRAWN_TOP)
        both.merge(self._before)
        both.merge(self._current)
        return both

    def take_windows(self, current: int) -> dict[int, RankedLists]:
        """The windows that changed since the last call; `current` may go on growing."""
        changed = self._windows
        self._windows = {n: lists for n, lists in changed.items() if n == current}
        return dict(changed)

    def state(self, current: int) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        window = self._windows.get(current, RankedLists(DRAWN_TOP))
        of = {"window": window, "before": self._before, "current": self._current}
        return {name: lists.to_bytes() for name, lists in of.items()}

    def load_state(self, state: dict[str, Any], current: int) -> None:
        """Become the scores that `state` described."""
        window, self._before, self._current = (
            RankedLists.from_bytes(state[name]) for name in ("window", "before", "current")
        )
        self._windows = {current: window} if window.num_lists else {}
