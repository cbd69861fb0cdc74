"""Slices: predicted clicks of a batch in, progressive scores of parts of the traffic out.

What a model is worth on average says little of users and items that it knows little of. A slice has
the scores of the newest `SPAN` impressions and of the span before, each made before its label was
used; so memory is bounded by the number of slices, whatever comes.

    C candidates
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.metrics import ALL, NEW, Scores
from headrace.model.batch import Batch

SPAN: Final = 10_000  # impressions


class SliceScores:
    """Scores of the click by slice: all, new users or items, and each surface where there are any.

    `count_columns` names the slices of what is new: features that are log(1 + impressions so far).
    """

    def __init__(
        self, surfaces: Sequence[str] = (), count_columns: Mapping[str, int] | None = None
    ) -> None:
        self._columns = dict(count_columns or {})
        named = [f"surface:{name}" for name in surfaces]
        self._of_surface = ["other_surfaces", *named] if surfaces else []  # by number
        self.names = (ALL, *self._columns, *self._of_surface)
        self._before, self._current = self._empty(), self._empty()

    def take(self, p_C: NDArray[np.float32], batch: Batch) -> None:
        """Take in the probabilities of a batch's clicks, of which some labels are known."""
        label_C = batch.candidates.label_CJ[:, 0].cpu().numpy()
        known_C = ~np.isnan(label_C)
        for name, of_slice_C in self._members(batch):
            counted_C = known_C & of_slice_C
            if counted_C.any():
                self._current[name].add(p_C[counted_C], label_C[counted_C])
        if self._current[ALL].num_samples >= SPAN:
            self._before, self._current = self._current, self._empty()

    def scores(self) -> dict[str, Scores]:
        """Of each slice that has any impressions."""
        found = {}
        for name in self.names:
            both = Scores()
            both.merge(self._before[name])
            both.merge(self._current[name])
            if both.num_samples:
                found[name] = both
        return found

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        return {
            span: {name: one.to_bytes() for name, one in scores.items() if one.num_samples}
            for span, scores in (("before", self._before), ("current", self._current))
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the slices that `state` described, as far as they are slices of these settings."""
        self._before, self._current = (
            self._empty()
            | {n: Scores.from_bytes(one) for n, one in state[span].items() if n in self.names}
            for span in ("before", "current")
        )

    def _members(self, batch: Batch) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        dense_CF = batch.candidates.dense_CF
        yield ALL, np.ones(len(dense_CF), np.bool_)
        for name, column in self._columns.items():
            yield name, dense_CF[:, column].cpu().numpy() < math.log1p(NEW + 0.5)
        if self._of_surface:
            surface_C = batch.surface_C.cpu().numpy()
            for number, name in enumerate(self._of_surface):
                yield name, surface_C == number

    def _empty(self) -> dict[str, Scores]:
        return {name: Scores() for name in self.names}
