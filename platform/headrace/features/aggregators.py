"""Aggregators: how outcomes become the value of a feature.

An aggregator owns a fixed number of float64 slots of an entity's state (`width`) and promises:

    initialize() -> state_W            the state before anything was seen
    add(state_W, outcome)              take in one outcome, in place
    merge(state_W, other_W)            take in a state that saw other outcomes, in place
    value(state_XW, now_ms) -> X       the feature at `now_ms`, for one state or a stack of them

`W` slots of state, `X` any leading dimensions. Times are epoch milliseconds, exact in float64 until
the year 287396. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

State = NDArray[np.float64]
Times = int | NDArray[np.int64]  # one time, or one for each state of a stack


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event says about one user and one item.

    An impression whose outcome is known has `shown=1` and `clicked` 0 or 1. One whose outcome is
    still open has `shown=1, clicked=0, settled=False`; its click comes as `shown=0, clicked=1`.
    """

    item_key: int
    time_ms: int
    shown: int
    clicked: int
    settled: bool = True
    category_slots: tuple[int, ...] = ()


class Aggregator(Protocol):
    """The contract above; `merge` is only asked of aggregators whose states meet."""

    @property
    def width(self) -> int: ...
    def initialize(self) -> State: ...
    def add(self, state_W: State, outcome: Outcome) -> None: ...
    def merge(self, state_W: State, other_W: State) -> None: ...
    def value(self, state_XW: State, now_ms: Times) -> State: ...


@dataclass(frozen=True, slots=True)
class Count:
    """How often the entity was shown, as log(1 + n): bounded in practice, stable over a log."""

    width = 1

    def initialize(self) -> State:
        return np.zeros(self.width)

    def add(self, state_W: State, outcome: Outcome) -> None:
        state_W[0] += outcome.shown

    def merge(self, state_W: State, other_W: State) -> None:
        state_W += other_W

    def value(self, state_XW: State, now_ms: Times) -> State:
        return np.log1p(state_XW[..., 0])


@dataclass(frozen=True, slots=True)
class Rate:
    """Clicks per impression of the whole life, shrunk to `prior` by `strength` impressions."""

    prior: float = 0.5
    strength: float = 10.0
    width = 2

    def initialize(self) -> State:
        return np.zeros(self.width)

    def add(self, state_W: State, outcome: Outcome) -> None:
        state_W[0] += outcome.shown
        state_W[1] += outcome.clicked

    def merge(self, state_W: State, other_W: State) -> None:
        state_W += other_W

    def value(self, state_XW: State, now_ms: Times) -> State:
        return _shrunk(state_XW[..., 0], state_XW[..., 1], self.prior, self.strength)


@dataclass(frozen=True, slots=True)
class DecayedRate:
    """Clicks per impression where each impression halves after `half_life` further impressions."""

    half_life: float
    prior: float = 0.5
    strength: float = 2.0
    width = 2

    def initialize(self) -> State:
        return np.zeros(self.width)

    def add(self, state_W: State, outcome: Outcome) -> None:
        if outcome.shown:
            state_W *= 0.5 ** (1.0 / self.half_life)
        state_W[0] += outcome.shown
        state_W[1] += outcome.clicked

    def merge(self, state_W: State, other_W: State) -> None:
        """Approximate: the two streams are taken as if they had run side by side."""
        state_W += other_W

    def value(self, state_XW: State, now_ms: Times) -> State:
        return _shrunk(state_XW[..., 0], state_XW[..., 1], self.prior, self.strength)


@dataclass(frozen=True, slots=True)
class WindowRate:
    """Clicks per impression in a sliding window made of `num_tiles` tiles of `tile_ms` each.

    State: index of the newest tile, then shown and clicked per tile in a ring. An outcome older
    than the window is left out of it; the window is exact to one tile.
    """

    tile_ms: int
    num_tiles: int
    prior: float = 0.5
    strength: float = 10.0

    @property
    def width(self) -> int:
        return 1 + 2 * self.num_tiles

    def initialize(self) -> State:
        state_W = np.zeros(self.width)
        state_W[0] = -1.0
        return state_W

    def add(self, state_W: State, outcome: Outcome) -> None:
        tile = outcome.time_ms // self.tile_ms
        self._advance(state_W, tile)
        if tile <= state_W[0] - self.num_tiles:
            return
        slot = 1 + tile % self.num_tiles
        state_W[slot] += outcome.shown
        state_W[slot + self.num_tiles] += outcome.clicked

    def merge(self, state_W: State, other_W: State) -> None:
        if other_W[0] < 0:
            return
        self._advance(state_W, int(other_W[0]))
        shown_N, clicked_N = self._tiles_in_window(other_W, int(state_W[0]))
        state_W[1 : 1 + self.num_tiles] += shown_N
        state_W[1 + self.num_tiles :] += clicked_N

    def value(self, state_XW: State, now_ms: Times) -> State:
        shown_XN, clicked_XN = self._tiles_in_window(state_XW, now_ms // self.tile_ms)
        return _shrunk(shown_XN.sum(-1), clicked_XN.sum(-1), self.prior, self.strength)

    def _advance(self, state_W: State, tile: int) -> None:
        """Make `tile` the newest one, emptying the tiles that fall out of the ring."""
        newest = int(state_W[0])
        if tile <= newest:
            return
        for passed in range(max(newest + 1, tile - self.num_tiles + 1), tile + 1):
            slot = 1 + passed % self.num_tiles
            state_W[slot] = state_W[slot + self.num_tiles] = 0.0
        state_W[0] = tile

    def _tiles_in_window(self, state_XW: State, now_tile: Times) -> tuple[State, State]:
        """Shown and clicked per tile, zero where the tile is out of the window that ends now."""
        newest_X1 = state_XW[..., :1]
        tile_XN = newest_X1 - (newest_X1 - np.arange(self.num_tiles)) % self.num_tiles
        now_X1 = np.expand_dims(now_tile, -1)
        inside_XN = (tile_XN > now_X1 - self.num_tiles) & (tile_XN <= now_X1)
        shown_XN = state_XW[..., 1 : 1 + self.num_tiles] * inside_XN
        return shown_XN, state_XW[..., 1 + self.num_tiles :] * inside_XN


@dataclass(frozen=True, slots=True)
class SinceLast:
    """Time since the last outcome as log(1 + seconds); `default_s` before there was one."""

    default_s: float = 30 * 86_400.0
    width = 1

    def initialize(self) -> State:
        return np.zeros(self.width)

    def add(self, state_W: State, outcome: Outcome) -> None:
        state_W[0] = max(state_W[0], outcome.time_ms)

    def merge(self, state_W: State, other_W: State) -> None:
        np.maximum(state_W, other_W, out=state_W)

    def value(self, state_XW: State, now_ms: Times) -> State:
        seconds_X = np.maximum(now_ms - state_XW[..., 0], 0.0) / 1_000
        known_X = state_XW[..., 0] > 0
        return np.log1p(np.where(known_X, seconds_X, self.default_s))


@dataclass(frozen=True, slots=True)
class CategoryRates:
    """Clicks per impression for each of `num_slots` category slots, shrunk to the overall rate.

    `value` has one more dimension, the slots. Categories are hashed into the slots.
    """

    num_slots: int = 32
    strength: float = 4.0

    @property
    def width(self) -> int:
        return 2 * self.num_slots

    def initialize(self) -> State:
        return np.zeros(self.width)

    def add(self, state_W: State, outcome: Outcome) -> None:
        for slot in outcome.category_slots:
            state_W[slot] += outcome.shown
            state_W[self.num_slots + slot] += outcome.clicked

    def merge(self, state_W: State, other_W: State) -> None:
        state_W += other_W

    def value(self, state_XW: State, now_ms: Times) -> State:
        """How much the rate of each category differs from the entity's rate over all of them."""
        shown_XK, clicked_XK = state_XW[..., : self.num_slots], state_XW[..., self.num_slots :]
        overall_X1 = (clicked_XK.sum(-1, keepdims=True) + 0.5) / (
            shown_XK.sum(-1, keepdims=True) + 1.0
        )
        rate_XK = (clicked_XK + overall_X1 * self.strength) / (shown_XK + self.strength)
        centred_XK: State = rate_XK - overall_X1
        return centred_XK


@dataclass(frozen=True, slots=True)
class LastN:
    """The last `length` settled outcomes, newest first: item key, time, clicked.

    Keys are 64-bit, so the state is read through an int64 view of the same bytes. Not a number:
    `items`, `times_ms` and `clicked` give the columns instead of `value`.
    """

    length: int = 32

    @property
    def width(self) -> int:
        return 3 * self.length

    def initialize(self) -> State:
        return np.zeros(self.width)

    def add(self, state_W: State, outcome: Outcome) -> None:
        if not outcome.settled:
            return
        columns_3T = state_W.view(np.int64).reshape(3, self.length)
        columns_3T[:, 1:] = columns_3T[:, :-1].copy()
        columns_3T[:, 0] = (outcome.item_key, outcome.time_ms, outcome.clicked)

    def merge(self, state_W: State, other_W: State) -> None:
        """Keep the newest of both by time."""
        both = np.concatenate([self.columns(state_W), self.columns(other_W)], axis=1)
        newest = np.argsort(-both[1], kind="stable")[: self.length]
        state_W.view(np.int64).reshape(3, self.length)[:] = both[:, newest]

    def value(self, state_XW: State, now_ms: Times) -> State:
        raise TypeError("a sequence is read with columns(), it has no single value")

    def columns(self, state_W: State) -> NDArray[np.int64]:
        """[3, T]: item keys (0 where empty), times in ms, clicked."""
        return state_W.view(np.int64).reshape(3, self.length)


def _shrunk(shown_X: State, clicked_X: State, prior: float, strength: float) -> State:
    """Clicks per impression as if `strength` impressions at rate `prior` had come before."""
    rate_X: State = (clicked_X + prior * strength) / (shown_X + strength)
    return rate_X
