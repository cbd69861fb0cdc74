"""The mixture of a slate: each place keeps its item, or shows one that is drawn.

Independently of the others a place explores with probability epsilon, and shows a fresh item with
the probability `fresh`. Those that explore share one draw without replacement: from the items
behind the slate, and from those that they themselves held. So every item may come to every such
place, no item twice, and the probability of each has a closed form. Fresh items are drawn from
those behind the slate; where there are fewer of them than places for them, the places left over
keep their items.

    K places of the slate   N places of the list   X lists
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many places a slate has, and how many items are behind it."""

    num_places: int
    num_others: int  # that are not fresh
    num_fresh: int


@dataclass(frozen=True, slots=True)
class Marginals:
    """The probability that a place of the slate shows a certain item, by where the list has it."""

    own: float  # at this place
    moved: float  # at another place of the slate
    other: float  # behind the slate
    fresh: float  # behind the slate, and it is fresh


@dataclass(frozen=True, slots=True)
class Mixture:
    """The probabilities with which a place explores, or shows a fresh item."""

    epsilon: float = 0.0
    fresh: float = 0.0

    def drawn(
        self, num_places: int, is_fresh_N: NDArray[np.bool_], random: np.random.Generator
    ) -> Ints:
        """[K]: the places of the list whose items the slate shows; as it is, these are its first.

        `is_fresh_N` says which items of the list are fresh.
        """
        slate_K = np.arange(num_places)
        draw_K = random.random(num_places)
        explores_K = draw_K < self.epsilon
        shows_fresh_K = ~explores_K & (draw_K < self.epsilon + self.fresh)
        other_N, fresh_N = _behind(num_places, self.counted(is_fresh_N))
        if explores_K.any():
            pool = np.concatenate([other_N, slate_K[explores_K]])
            slate_K[explores_K] = random.permutation(pool)[: explores_K.sum()]
        if shows_fresh_K.any() and len(fresh_N):
            place = random.permutation(np.flatnonzero(shows_fresh_K))[: len(fresh_N)]
            slate_K[place] = random.permutation(fresh_N)[: len(place)]
        return slate_K

    def propensities(self, slate_K: Ints, is_fresh_N: NDArray[np.bool_]) -> Floats:
        """[K]: how probable it was that each place shows the item that it does."""
        is_fresh_N = self.counted(is_fresh_N)
        num_fresh = int(is_fresh_N[len(slate_K) :].sum())
        return self.at_ranks(slate_K, is_fresh_N[slate_K], num_fresh, len(is_fresh_N))

    def at_ranks(
        self, rank_XK: Ints, is_fresh_K: NDArray[np.bool_], num_fresh: int, num_items: int
    ) -> Floats:
        """[X, K]: the same of lists of so many items, in which these have these ranks, and so many
        fresh ones are behind the slate."""
        num = len(is_fresh_K)
        p = marginals(self, Sizes(num, num_items - num - num_fresh, num_fresh))
        behind_K = np.where(is_fresh_K, p.fresh, p.other)
        in_slate_XK = np.where(rank_XK == np.arange(num), p.own, p.moved)
        return np.where(rank_XK < num, in_slate_XK, behind_K).clip(0.0, 1.0)

    def counted(self, is_fresh_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Fresh items are items as others where they have no places of their own."""
        return is_fresh_N if self.fresh else np.zeros_like(is_fresh_N)


@lru_cache(maxsize=1 << 12)
def marginals(mixture: Mixture, sizes: Sizes) -> Marginals:
    """The probabilities of a place, in closed form: sums over how many places explore."""
    num, behind = sizes.num_places, sizes.num_others
    if num == 0:
        return Marginals(0.0, 0.0, 0.0, 0.0)
    number = np.arange(num + 1)
    of_one = _binomial(num, mixture.epsilon) / np.maximum(behind + number, 1) * number / num
    drawn = float(of_one.sum())
    moved = float((of_one * (number - 1)).sum()) / (num - 1) if num > 1 else 0.0
    shown = float((_binomial(num, mixture.fresh) * np.minimum(number, sizes.num_fresh)).sum()) / num
    return Marginals(
        own=1.0 - mixture.epsilon - shown + drawn,
        moved=moved,
        other=drawn,
        fresh=shown / sizes.num_fresh if sizes.num_fresh else 0.0,
    )


def _binomial(num: int, p: float) -> Floats:
    """[num + 1]: how probable it is that so many of the places draw."""
    return np.array([math.comb(num, n) * p**n * (1 - p) ** (num - n) for n in range(num + 1)])


def _behind(num_places: int, is_fresh_N: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """The places of the list behind the slate, of other items and of fresh ones."""
    is_fresh_M = is_fresh_N[num_places:]
    return num_places + np.flatnonzero(~is_fresh_M), num_places + np.flatnonzero(is_fresh_M)
