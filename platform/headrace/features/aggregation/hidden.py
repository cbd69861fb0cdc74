"""Hidden items: an accumulator of the latest actions that hide, an entry per item and action, and
the items that they hide at a time.

    U states   N facts   K entries that came   Q states read   L length
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import TABLE
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import ACTIONS, Facts, Ints

# An entry of the b-th action of the table is b + 1, or its negative: the user took it back.
HIDING: Final = tuple(row.name for row in TABLE if row.hides_s)
HIDES_MS: Final = np.array([-np.inf, *(1_000 * row.hides_s or -np.inf for row in TABLE)])
NAMES: Final = ("item", "time_s", "action")


@dataclass(frozen=True, slots=True)
class Hiding:
    """The latest actions that hide an item: item key (0 where empty), time in seconds, and which
    action of the table it was, negative where it was taken back; the newest first.

    An item has one entry per action, its newest: of the same second one that was taken back.
    So what is kept does not depend on the order of arrival, and nothing is forgotten before
    `length` later entries of other items came. Reads the state itself, [Q] of `dtype`. Which
    actions hide, and for how long, is the table's: another answer leaves states as they are.
    """

    length: int = 32
    is_exact: ClassVar = True
    is_sketch: ClassVar = False

    @property
    def window(self) -> str:
        return f"last {self.length} that hide"

    @property
    def dtype(self) -> np.dtype[Any]:
        shape = (self.length,)
        return np.dtype([("item", "<i8", shape), ("time_s", "<u4", shape), ("action", "i1", shape)])

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        came_Na = facts.measures(HIDING)
        if not came_Na.any():  # by far the most often
            return
        fact_K, place_K = np.nonzero(came_Na)
        of_a = np.array([ACTIONS.index(name) + 1 for name in HIDING])
        action_K = of_a[place_K] * np.sign(came_Na[fact_K, place_K]).astype(np.int64)
        columns = (facts.item_key_N[fact_K], facts.time_ms_N[fact_K] // 1_000, action_K)
        self._take_in(state_U, facts.entity_N[fact_K], columns)

    def merge(self, state_U: State, other_U: State) -> None:
        entity_K, place_K = np.nonzero(other_U["item"])
        self._take_in(state_U, entity_K, [other_U[name][entity_K, place_K] for name in NAMES])

    def read(self, state_Q: State, now_ms_Q: Ints) -> State:
        return state_Q

    def _take_in(self, state_U: State, entity_K: Ints, columns: Any) -> None:
        """State by state: few entities have such an action in one step."""
        new_K3 = np.stack(columns, axis=1).tolist()
        for entity in set(entity_K.tolist()):
            old = [state_U[name][entity].tolist() for name in NAMES]
            newest: dict[tuple[int, int], tuple[int, int]] = {}
            entries = [one for one in zip(*old, strict=True) if one[0]]
            entries += [new_K3[place] for place in np.flatnonzero(entity_K == entity)]
            for item, time_s, action in entries:
                kind = item, abs(action)
                newest[kind] = max(newest.get(kind, (0, 0)), (time_s, -action))
            kept = [(when[0], item, -when[1]) for (item, _), when in newest.items()]
            kept = sorted(kept, reverse=True)[: self.length]
            for place, (time_s, item, action) in enumerate(kept):
                for name, value in zip(NAMES, (item, time_s, action), strict=True):
                    state_U[name][entity, place] = value


@dataclass(frozen=True, slots=True)
class HiddenItems:
    """[Q, L]: the keys of the items that are hidden from a user: for `hides_s` of the action's row
    since its time, unless it was taken back; 0 elsewhere."""

    over: Hiding

    def value(self, read_Q: NDArray[Any], now_ms_Q: Ints) -> Ints:
        since_ms_QL = now_ms_Q[:, None] - 1_000 * read_Q["time_s"].astype(np.int64)
        hides_QL = since_ms_QL < HIDES_MS[np.maximum(read_Q["action"], 0)]
        hidden_QL: Ints = np.where(hides_QL, read_Q["item"], 0)
        return hidden_QL
