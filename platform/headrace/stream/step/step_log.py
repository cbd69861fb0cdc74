"""The log of a step: its facts in the order in which rows take them.

N facts   K, V, U, Q of entities, rows and requests
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Facts, Ints
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.state_row import Rows


@dataclass(frozen=True, slots=True)
class StepLog:
    """Facts, the offsets of their events, and the events' ordinals within the step."""

    facts: Facts
    offset_N: Ints
    ordinal_N: Ints

    def take(self, index_K: Ints) -> StepLog:
        return StepLog(self.facts.take(index_K), self.offset_N[index_K], self.ordinal_N[index_K])

    def about(self, entity_N: Ints) -> StepLog:
        return StepLog(self.facts.about(entity_N), self.offset_N, self.ordinal_N)

    def not_included(self, rows_U: Rows) -> StepLog:
        """Those that the rows do not include yet, sorted by entity and then as the log has them."""
        new_K = np.flatnonzero(self.offset_N > rows_U["position"][self.facts.entity_N])
        return self.take(new_K[np.argsort(self.facts.entity_N[new_K], kind="stable")])

    def add_and_snapshot(
        self, layout: Layout, state_U: State, entity_Q: Ints, ordinal_Q: Ints
    ) -> State:
        """Take these facts into states; returns those of `entity_Q` before events `ordinal_Q`."""
        span = max(self.ordinal_N.max(initial=0), ordinal_Q.max(initial=0)) + 1
        place_N = self.facts.entity_N * span + self.ordinal_N
        first_Q = np.searchsorted(self.facts.entity_N, entity_Q)
        seen_Q: NDArray[np.int64] = np.searchsorted(place_N, entity_Q * span + ordinal_Q) - first_Q
        return layout.add_and_snapshot(state_U, self.facts, entity_Q, seen_Q)

    def after_each(self, layout: Layout, rows_U: Rows) -> tuple[Ints, Rows]:
        """[K]: the rows as each event leaves them, and whose they are; `rows_U` do not change."""
        entity_N, time_N = self.facts.entity_N, self.facts.time_ms_N
        is_last_N = np.diff(entity_N, append=-1).astype(bool)
        is_last_N |= np.diff(self.ordinal_N, append=-1).astype(bool)
        last_K = np.flatnonzero(is_last_N)  # the last fact of each event about an entity
        entity_K = entity_N[last_K]
        rows_K = rows_U[entity_K]
        seen_K = last_K - np.searchsorted(entity_N, entity_K) + 1
        rows_K["state"] = layout.add_and_snapshot(
            rows_U["state"].copy(), self.facts, entity_K, seen_K
        )
        rows_K["position"] = self.offset_N[last_K]
        newest_N = np.maximum(time_N, rows_U["event_time_ms"][entity_N])
        for first, end in zip(*_bounds(entity_N), strict=True):
            np.maximum.accumulate(newest_N[first:end], out=newest_N[first:end])
        rows_K["event_time_ms"] = newest_N[last_K]
        return entity_K, rows_K

    def stamp(self, rows_U: Rows) -> Ints:
        """Let rows say that they include these facts; returns which of them do so now."""
        entity_N = self.facts.entity_N
        starts_V = np.flatnonzero(np.diff(entity_N, prepend=-1))
        entity_V = entity_N[starts_V]
        last_V = np.append(starts_V[1:], len(entity_N))[: len(starts_V)] - 1
        newest_V = np.maximum.reduceat(self.facts.time_ms_N, starts_V)
        rows_U["position"][entity_V] = self.offset_N[last_V]
        rows_U["event_time_ms"][entity_V] = np.maximum(rows_U["event_time_ms"][entity_V], newest_V)
        return entity_V


def _bounds(entity_N: Ints) -> tuple[list[int], list[int]]:
    """Where the facts of each entity begin and end; they lie together."""
    starts = np.flatnonzero(np.diff(entity_N, prepend=-1)).tolist()
    return starts, [*starts[1:], len(entity_N)] if starts else []
