"""Sequences: the last outcomes of an entity, and what is read from them.

    U states   N facts   Q states read   L length   K facts kept of those that came

Outcomes lie newest first; of the same millisecond, the greater item key first, so that a sequence
does not depend on the order in which its outcomes arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.features.accumulators import State, Values
from headrace.features.facts import ACTIONS, SHOWN, Facts, Ints

COLUMNS = ("item", "time_ms", "action", "position")


@dataclass(frozen=True, slots=True)
class LastN:
    """The last `length` settled outcomes: item key (0 where empty), time, action bits, position.

    Reads the state itself, [Q] of `dtype`.
    """

    length: int = 64

    @property
    def dtype(self) -> np.dtype[Any]:
        shape = (self.length,)
        return np.dtype(
            [("item", "<i8", shape), ("time_ms", "<i8", shape),
             ("action", "u1", shape), ("position", "u1", shape)]
        )  # fmt: skip

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        new = facts.take(facts.settled_N)
        new = new.take(np.lexsort((-new.item_key_N, -new.time_ms_N, new.entity_N)))
        first_U = np.searchsorted(new.entity_N, np.arange(len(state_U)))
        place_N = np.arange(len(new)) - first_U[new.entity_N]
        new = new.take(place_N < self.length)
        place_K = place_N[place_N < self.length]
        changed_V = np.unique(new.entity_N)
        if not len(changed_V):
            return
        came_V = np.zeros(len(changed_V), self.dtype)
        row_K = np.searchsorted(changed_V, new.entity_N)
        for name, column_K in self._columns(new).items():
            came_V[name][row_K, place_K] = column_K
        state_U[changed_V] = self._newest_of(state_U[changed_V], came_V)

    def merge(self, state_U: State, other_U: State) -> None:
        state_U[...] = self._newest_of(state_U, other_U)

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        return state_Q

    def _columns(self, facts: Facts) -> dict[str, Any]:
        position_N = np.minimum(facts.position_N, 255)
        columns = (facts.item_key_N, facts.time_ms_N, facts.action_mask_N(), position_N)
        return dict(zip(COLUMNS, columns, strict=True))

    def _newest_of(self, old_V: State, new_V: State) -> State:
        """[V]: the newest outcomes of both, which are in order each.

        Most often all that came is newer than all there was; the others are sorted.
        """
        num_new_V = np.count_nonzero(new_V["item"], axis=1)
        source_VL = np.arange(self.length) - num_new_V[:, None]
        is_old_VL, source_VL = source_VL >= 0, np.maximum(source_VL, 0)
        both_V = np.empty_like(old_V)
        for name in COLUMNS:
            moved_VL = np.take_along_axis(old_V[name], source_VL, axis=1)
            both_V[name] = np.where(is_old_VL, moved_VL, new_V[name])
        oldest_new_V = np.take_along_axis(
            new_V["time_ms"], np.maximum(num_new_V - 1, 0)[:, None], axis=1
        )[:, 0]
        mixed_V = (num_new_V > 0) & (old_V["item"][:, 0] != 0)
        mixed_V &= old_V["time_ms"][:, 0] >= oldest_new_V
        if mixed_V.any():
            both_V[mixed_V] = self._sorted(old_V[mixed_V], new_V[mixed_V])
        return both_V

    def _sorted(self, old_V: State, new_V: State) -> State:
        time_V2L = np.concatenate([old_V["time_ms"], new_V["time_ms"]], axis=1)
        item_V2L = np.concatenate([old_V["item"], new_V["item"]], axis=1)
        order_VL = np.lexsort((-item_V2L, -time_V2L), axis=-1)[:, : self.length]
        both_V = np.empty_like(old_V)
        for name in COLUMNS:
            columns_V2L = np.concatenate([old_V[name], new_V[name]], axis=1)
            both_V[name] = np.take_along_axis(columns_V2L, order_VL, axis=1)
        return both_V


@dataclass(frozen=True, slots=True)
class Recent:
    """Sums over the last `num` outcomes of a sequence: how many there were, and how many of each
    action. Reads [Q, m]; keeps nothing of its own."""

    of: LastN
    num: int

    @property
    def measures(self) -> tuple[str, ...]:
        return (SHOWN, *ACTIONS)

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        here_QN = state_Q["item"][:, : self.num] != 0
        action_QN = state_Q["action"][:, : self.num]
        counts = [here_QN, *((action_QN >> bit) & 1 for bit in range(len(ACTIONS)))]
        return np.stack([count_QN.sum(1) for count_QN in counts], -1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Session:
    """The outcomes since the last pause of `pause_ms` or more, up to now. Reads [Q, m]: how many
    there were, how many of each action; and nothing if that pause lasts by now."""

    of: LastN
    pause_ms: int = 30 * 60_000

    @property
    def measures(self) -> tuple[str, ...]:
        return (SHOWN, *ACTIONS)

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        inside_QL = self.inside(state_Q, now_ms_Q)
        actions = [inside_QL & ((state_Q["action"] >> bit) & 1) for bit in range(len(ACTIONS))]
        counts = [count_QL.sum(1) for count_QL in (inside_QL, *actions)]
        return np.stack(counts, -1).astype(np.float64)

    def inside(self, state_Q: State, now_ms_Q: Ints) -> Any:
        """[Q, L]: which outcomes of the sequence belong to the session that goes on at `now`."""
        later_QL = np.concatenate([now_ms_Q[:, None], state_Q["time_ms"][:, :-1]], axis=1)
        joined_QL = (later_QL - state_Q["time_ms"] < self.pause_ms) & (state_Q["item"] != 0)
        return np.logical_and.accumulate(joined_QL, axis=1)
