"""Sequences: the last outcomes of an entity, and the views that read them.

    U states   V states that change   N facts   K outcomes that came   Q states read   L length

Outcomes lie newest first; of the same millisecond, the greater item key first, then the greater
action bits, position, surface and share, so that the order of arrival does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import BIT, FEATURED
from headrace.features.aggregation.accumulators import State, Values, span
from headrace.features.aggregation.facts import COUNTED, Facts, Ints

# What decides which outcome is newer.
ORDER: Final = ("time_ms", "item", "action", "position", "surface", "share")


@dataclass(frozen=True, slots=True)
class LastN:
    """The last `length` settled outcomes: item key (0 where empty), time, action bits, position,
    code of the surface, value as a share of 1 in 255ths.

    Reads the state itself, [Q] of `dtype`. Positions above 255 are kept as 255.
    """

    length: int = 64
    is_exact: ClassVar = True
    is_sketch: ClassVar = False

    @property
    def window(self) -> str:
        return f"last {self.length} outcomes"

    @property
    def dtype(self) -> np.dtype[Any]:
        shape = (self.length,)
        small = [(name, "u1", shape) for name in ("action", "position", "surface", "share")]
        return np.dtype([("item", "<i8", shape), ("time_ms", "<i8", shape), *small])

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        position_N = np.minimum(facts.position_N, 255)
        columns: list[NDArray[Any]] = [facts.time_ms_N, facts.item_key_N]
        columns += [facts.action_mask_N(), position_N, facts.surface_N, facts.share_N()]
        settled_K = np.flatnonzero(facts.settled_N)
        new = {name: column_N[settled_K] for name, column_N in zip(ORDER, columns, strict=True)}
        self._take_in(state_U, facts.entity_N[settled_K], new)

    def merge(self, state_U: State, other_U: State) -> None:
        entity_K, place_K = np.nonzero(other_U["item"])
        new = {name: other_U[name][entity_K, place_K] for name in ORDER}
        self._take_in(state_U, entity_K, new)

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        return state_Q

    def _take_in(self, state_U: State, entity_K: Ints, new: dict[str, Ints]) -> None:
        """Put outcomes where they belong; those that were there move on, past the end out."""
        order_K = np.lexsort((*(new[name] for name in reversed(ORDER)), -entity_K))[::-1]
        entity_K, new = entity_K[order_K], {name: new[name][order_K] for name in ORDER}
        place_K = np.arange(len(entity_K)) - np.searchsorted(entity_K, entity_K)
        place_K += self._num_newer(state_U, entity_K, new)
        kept_K = place_K < self.length
        place_K = place_K[kept_K]
        changed_V, row_K = np.unique(entity_K[kept_K], return_inverse=True)
        is_new_VL = np.zeros((len(changed_V), self.length), bool)
        is_new_VL[row_K, place_K] = True
        source_VL = np.maximum(np.arange(self.length) - np.cumsum(is_new_VL, axis=1), 0)
        source_VL += self.length * np.arange(len(changed_V))[:, None]
        for name in ORDER:
            moved_VL = state_U[name][changed_V].take(source_VL)
            moved_VL[row_K, place_K] = new[name][kept_K]
            state_U[name][changed_V] = moved_VL

    def _num_newer(self, state_U: State, entity_K: Ints, new: dict[str, Ints]) -> Ints:
        """[K]: how many outcomes in its state are newer than each, by bisection; at least `length`
        if all are."""
        num_K = np.zeros(len(entity_K), np.int64)
        late_L = np.flatnonzero(state_U["time_ms"][entity_K, 0] >= new["time_ms"])
        entity_L, num_L = entity_K[late_L], num_K[late_L]  # nothing is newer than the others
        step = 1 << (self.length.bit_length() - 1)
        while step and len(late_L):
            at = (entity_L, np.minimum(num_L + step, self.length) - 1)
            newer_L = np.zeros(len(late_L), bool)
            for name in reversed(ORDER):
                old_L, new_L = state_U[name][at], new[name][late_L]
                newer_L = (old_L > new_L) | ((old_L == new_L) & newer_L)
            num_L += step * (newer_L & (state_U["item"][at] != 0))
            step >>= 1
        num_K[late_L] = num_L
        return num_K


@dataclass(frozen=True, slots=True)
class Recent:
    """Sums over the last `num` outcomes of a sequence: how many there were, and how many of each
    action. Reads [Q, m]; keeps nothing of its own."""

    of: LastN
    num: int

    @property
    def window(self) -> str:
        return f"last {self.num} outcomes"

    @property
    def measures(self) -> tuple[str, ...]:
        return COUNTED

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        return self._sums(state_Q, state_Q["item"] != 0)

    def read_on(self, state_Q: State, surface_Q: Ints) -> Values:
        """[Q, m]: the same of those that came on one surface (`headrace.keys.surface_code`)."""
        same_QL = state_Q["surface"] == surface_Q[:, None]
        return self._sums(state_Q, same_QL & (state_Q["item"] != 0))

    def _sums(self, state_Q: State, inside_QL: Any) -> Values:
        return _counts(inside_QL[:, : self.num], state_Q["action"][:, : self.num])


@dataclass(frozen=True, slots=True)
class Session:
    """The outcomes since the last pause of `pause_ms` or more, as far back as the sequence goes.

    Reads [Q, m]: how many there were, how many of each action; nothing if the pause lasts by now.
    """

    of: LastN
    pause_ms: int = 30 * 60_000

    @property
    def window(self) -> str:
        return f"since the last pause of {span(self.pause_ms)}"

    @property
    def measures(self) -> tuple[str, ...]:
        return COUNTED

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        return _counts(self.inside(state_Q, now_ms_Q), state_Q["action"])

    def inside(self, state_Q: State, now_ms_Q: Ints) -> Any:
        """[Q, L]: which outcomes of the sequence belong to the session that goes on at `now`."""
        later_QL = np.concatenate([now_ms_Q[:, None], state_Q["time_ms"][:, :-1]], axis=1)
        joined_QL = (later_QL - state_Q["time_ms"] < self.pause_ms) & (state_Q["item"] != 0)
        num_Q = np.where(joined_QL.all(1), self.of.length, joined_QL.argmin(1))
        return np.arange(self.of.length) < num_Q[:, None]


def _counts(inside_QL: Any, action_QL: Any) -> Values:
    """[Q, m]: how many outcomes are inside, and how many of those of each action with features."""
    actions = [inside_QL & (action_QL & BIT[name] != 0) for name in FEATURED]
    counts = [count_QL.sum(1) for count_QL in (inside_QL, *actions)]
    return np.stack(counts, -1).astype(np.float64)
