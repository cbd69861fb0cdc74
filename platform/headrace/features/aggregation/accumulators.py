"""Accumulators: aggregation of an entity's facts into a state of a fixed number of bytes.

    U states   N facts   Q states read   m measures kept   n tiles

An accumulator promises, over columns:

    dtype                          numpy's description of one state
    initialize() -> state          one state before any fact
    add(state_U, facts)            take in facts, in place; `facts.entity_N` are rows of the states
    merge(state_U, other_U)        take in, row by row, states that saw other facts, in place
    read(state_Q, now_ms_Q)        what aggregators make values of, at a time of its own per state
    window                         which of the past it is about, in words
    is_exact                       whether the order of facts changes not a bit of what is read
    is_sketch                      whether what is read is approximate by design

The order in which facts come does not matter to what is read, as far as an accumulator's window or
capacity reaches (floats: up to rounding). Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import CLICK, SHOWN, VALUE, Facts, Ints

State = NDArray[Any]  # [X] states of one accumulator, in its dtype
Values = NDArray[np.float64]

NEVER: Final = np.iinfo(np.int64).min  # a time or tile before all others
EVER: Final = "all time"
UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))


class Accumulator(Protocol):
    """The contract above."""

    is_exact: ClassVar[bool]
    is_sketch: ClassVar[bool]

    @property
    def window(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def initialize(self) -> State: ...
    def add(self, state_U: State, facts: Facts) -> None: ...
    def merge(self, state_U: State, other_U: State) -> None: ...
    def read(self, state_Q: State, now_ms_Q: Ints) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Sums of some measures over everything. Reads [Q, m]."""

    measures: tuple[str, ...] = (SHOWN, CLICK)
    is_exact: ClassVar = True
    is_sketch: ClassVar = False
    window: ClassVar = EVER

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(("<f8", (len(self.measures),)))

    def initialize(self) -> State:
        return np.zeros(len(self.measures))

    def add(self, state_Um: State, facts: Facts) -> None:
        for column, measure_N in enumerate(facts.measures(self.measures).T):
            state_Um[:, column] += np.bincount(facts.entity_N, measure_N, len(state_Um))

    def merge(self, state_Um: State, other_Um: State) -> None:
        state_Um += other_Um

    def read(self, state_Qm: State, now_ms_Q: Ints) -> Values:
        return state_Qm


@dataclass(frozen=True, slots=True)
class Tiles:
    """Sums over a sliding window of `num_tiles` tiles of `tile_ms` each. Reads [Q, m].

    A ring: tile t lies in slot t modulo n, `newest` is the latest tile that any fact fell into. The
    window ends with the tile of the time of reading and is exact to one tile. A late fact counts
    while its tile is in the ring.
    """

    tile_ms: int
    num_tiles: int
    measures: tuple[str, ...] = (SHOWN, CLICK)
    is_exact: ClassVar = True
    is_sketch: ClassVar = False

    @property
    def window(self) -> str:
        return f"last {span(self.tile_ms * self.num_tiles)}, by {span(self.tile_ms)}"

    @property
    def dtype(self) -> np.dtype[Any]:
        sums = ("sums", "<f4", (self.num_tiles, len(self.measures)))
        return np.dtype([("newest", "<i8"), sums])

    def initialize(self) -> State:
        state = np.zeros((), self.dtype)
        state["newest"] = -self.num_tiles  # before the epoch, far enough to hold none of its tiles
        return state

    def add(self, state_U: State, facts: Facts) -> None:
        tile_N = facts.time_ms_N // self.tile_ms
        newest_U = state_U["newest"].copy()
        np.maximum.at(newest_U, facts.entity_N, tile_N)
        self._advance(state_U, newest_U)
        inside_N = tile_N > newest_U[facts.entity_N] - self.num_tiles
        entity_K, slot_K = facts.entity_N[inside_N], (tile_N % self.num_tiles)[inside_N]
        np.add.at(state_U["sums"], (entity_K, slot_K), facts.measures(self.measures)[inside_N])

    def merge(self, state_U: State, other_U: State) -> None:
        self._advance(state_U, np.maximum(state_U["newest"], other_U["newest"]))
        inside_Un = self._tile_of_slot(other_U) > (state_U["newest"] - self.num_tiles)[:, None]
        state_U["sums"] += other_U["sums"] * inside_Un[..., None]

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        return self.read_last(self.num_tiles, state_Q, now_ms_Q)

    def read_last(self, num_tiles: int, state_Q: State, now_ms_Q: Ints) -> Values:
        """[Q, m]: the sums over so many of the last tiles."""
        now_Q1 = (now_ms_Q // self.tile_ms)[:, None]
        tile_Qn = self._tile_of_slot(state_Q)
        inside_Qn = (tile_Qn > now_Q1 - num_tiles) & (tile_Qn <= now_Q1)
        weight_Q1n = inside_Qn[:, None].astype(np.float64)
        sums_Qm: Values = (weight_Q1n @ state_Q["sums"].astype(np.float64))[:, 0]
        return sums_Qm

    def _advance(self, state_U: State, newest_U: Ints) -> None:
        """Make these the newest tiles, and empty those that fall out of the ring."""
        behind_V = np.flatnonzero(newest_U > state_U["newest"])
        before_V1 = state_U["newest"][behind_V, None]
        state_U["newest"] = newest_U
        fresh_Vn = self._tile_of_slot(state_U[behind_V]) > before_V1
        rows_K, slots_K = np.nonzero(fresh_Vn)
        state_U["sums"][behind_V[rows_K], slots_K] = 0.0

    def _tile_of_slot(self, state_X: State) -> Ints:
        """[X, n]: which tile each slot holds."""
        slot_n = np.arange(self.num_tiles)
        age_nn = (slot_n[:, None] - slot_n) % self.num_tiles  # by the slot of the newest tile
        newest_X = state_X["newest"]
        tiles_Xn: Ints = newest_X[:, None] - age_nn.take(newest_X % self.num_tiles, axis=0)
        return tiles_Xn


@dataclass(frozen=True, slots=True)
class Decayed:
    """Sums in which a fact counts half after each `half_life_ms`. Reads [Q, m].

    Kept as of the latest fact, so that nothing overflows however long the log is; a reading at an
    earlier time is one as of that fact.
    """

    half_life_ms: int
    measures: tuple[str, ...] = (SHOWN, CLICK)
    is_exact: ClassVar = False
    is_sketch: ClassVar = False

    @property
    def window(self) -> str:
        return f"half-life {span(self.half_life_ms)}"

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([("newest_ms", "<i8"), ("sums", "<f8", (len(self.measures),))])

    def initialize(self) -> State:
        return np.zeros((), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        newest_U = state_U["newest_ms"].copy()
        np.maximum.at(newest_U, facts.entity_N, facts.time_ms_N)
        self._advance(state_U, newest_U)
        weight_N = self._weight(newest_U[facts.entity_N] - facts.time_ms_N)
        measures_Nm = facts.measures(self.measures) * weight_N[:, None]
        np.add.at(state_U["sums"], facts.entity_N, measures_Nm)

    def merge(self, state_U: State, other_U: State) -> None:
        self._advance(state_U, np.maximum(state_U["newest_ms"], other_U["newest_ms"]))
        weight_U = self._weight(state_U["newest_ms"] - other_U["newest_ms"])
        state_U["sums"] += other_U["sums"] * weight_U[:, None]

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        weight_Q = self._weight(np.maximum(now_ms_Q - state_Q["newest_ms"], 0))
        sums_Qm: Values = state_Q["sums"] * weight_Q[:, None]
        return sums_Qm

    def _advance(self, state_U: State, newest_U: Ints) -> None:
        state_U["sums"] *= self._weight(newest_U - state_U["newest_ms"])[:, None]
        state_U["newest_ms"] = newest_U

    def _weight(self, age_ms_X: Ints) -> Values:
        weight_X: Values = np.exp2(-age_ms_X / self.half_life_ms)
        return weight_X


@dataclass(frozen=True, slots=True)
class Newest:
    """When a fact last had some measure, in ms; `NEVER` if none had. Reads [Q]."""

    measure: str = SHOWN
    is_exact: ClassVar = True
    is_sketch: ClassVar = False
    window: ClassVar = "newest"

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype("<i8")

    def initialize(self) -> State:
        return np.array(NEVER)

    def add(self, state_U: State, facts: Facts) -> None:
        has_N = facts.measure(self.measure) > 0
        np.maximum.at(state_U, facts.entity_N[has_N], facts.time_ms_N[has_N])

    def merge(self, state_U: State, other_U: State) -> None:
        np.maximum(state_U, other_U, out=state_U)

    def read(self, state_Q: State, now_ms_Q: Ints) -> Ints:
        return state_Q


@dataclass(frozen=True, slots=True)
class Extremes:
    """The least, the greatest and the latest of a measure that is not zero. Reads [Q, 3], NaN where
    there was none; of two facts of the same millisecond the greater is the latest."""

    measure: str = VALUE
    is_exact: ClassVar = True
    is_sketch: ClassVar = False
    window: ClassVar = EVER

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([("min", "<f4"), ("max", "<f4"), ("time_ms", "<i8"), ("last", "<f4")])

    def initialize(self) -> State:
        return np.array((np.inf, -np.inf, NEVER, -np.inf), self.dtype)

    def add(self, state_U: State, facts: Facts) -> None:
        value_N = facts.measure(self.measure)
        has_N = value_N != 0
        entity_K, time_K, value_K = facts.entity_N[has_N], facts.time_ms_N[has_N], value_N[has_N]
        np.minimum.at(state_U["min"], entity_K, value_K)
        np.maximum.at(state_U["max"], entity_K, value_K)
        newest_U = state_U["time_ms"].copy()
        np.maximum.at(newest_U, entity_K, time_K)
        state_U["last"][newest_U > state_U["time_ms"]] = -np.inf
        latest_K = time_K == newest_U[entity_K]
        np.maximum.at(state_U["last"], entity_K[latest_K], value_K[latest_K])
        state_U["time_ms"] = newest_U

    def merge(self, state_U: State, other_U: State) -> None:
        np.minimum(state_U["min"], other_U["min"], out=state_U["min"])
        np.maximum(state_U["max"], other_U["max"], out=state_U["max"])
        ours_U = np.where(state_U["time_ms"] < other_U["time_ms"], -np.inf, state_U["last"])
        theirs_U = np.where(other_U["time_ms"] < state_U["time_ms"], -np.inf, other_U["last"])
        state_U["last"] = np.maximum(ours_U, theirs_U)
        state_U["time_ms"] = np.maximum(state_U["time_ms"], other_U["time_ms"])

    def read(self, state_Q: State, now_ms_Q: Ints) -> Values:
        values_Q3 = np.stack([state_Q[name] for name in ("min", "max", "last")], -1)
        return np.where(np.isfinite(values_Q3), values_Q3, np.nan).astype(np.float64)


def span(duration_ms: int) -> str:
    """A duration in words, in the greatest unit that divides it."""
    unit, size = next((unit, size) for unit, size in UNITS if duration_ms % size == 0)
    return f"{duration_ms // size} {unit}"
