"""Candidates: the items under consideration for a request, in columns, each with its sources.

C candidates   D draws   K those that a rule keeps   N those that it removes   S sources
F features   J heads
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints

ABSENT: Final = np.iinfo(np.int32).max  # the rank in a source that did not propose the candidate
Kept = NDArray[np.bool_] | Ints  # a mask, or places in their new order


@dataclass(frozen=True, slots=True)
class Removed:
    """Rows of the catalogue that one rule took out of the candidates."""

    reason: str
    row_N: Ints


@dataclass(slots=True)
class Candidates:
    """Rows of the catalogue in an order, with the rank that each source gave them, scores once
    they are ranked, and the rows removed on the way."""

    sources: tuple[str, ...]
    row_C: Ints
    rank_SC: NDArray[np.int32]
    p_CJ: NDArray[np.float32] | None = (
        None  # by head, the click first; None: nothing has ranked them
    )
    score_C: NDArray[np.float32] | None = None  # what slates are ordered by
    dense_CF: NDArray[np.float32] | None = None  # what the ranker reads of each
    propensity_C: NDArray[np.float64] | None = None  # of each at its place; None: not drawn yet
    drawn_DC: NDArray[np.float32] | None = None  # scores by the draws of a policy, if it draws them
    removed: list[Removed] = field(default_factory=list)

    @classmethod
    def of(cls, source: str, row_C: Ints) -> Candidates:
        """The candidates of one source, its best first; a row may be there more than once."""
        return cls((source,), row_C, np.arange(len(row_C), dtype=np.int32)[None])

    def __len__(self) -> int:
        return len(self.row_C)

    @property
    def p_click_C(self) -> NDArray[np.float32] | None:
        """[C]: the probability of a click, None while nothing has ranked them."""
        return None if self.p_CJ is None else self.p_CJ[:, 0]

    def keep(self, kept: Kept, reason: str) -> None:
        """Keep these candidates, by a mask or by places in their new order; the others are removed
        for this reason."""
        is_mask = kept.dtype == np.bool_
        place_K = np.flatnonzero(kept) if is_mask else kept
        if len(place_K) < len(self):
            is_gone_C = np.ones(len(self), np.bool_)
            is_gone_C[place_K] = False
            self.removed.append(Removed(reason, self.row_C[is_gone_C]))
        elif is_mask:
            return
        self.row_C, self.rank_SC = self.row_C[place_K], self.rank_SC.take(place_K, axis=1)
        self.p_CJ = None if self.p_CJ is None else self.p_CJ[place_K]
        self.score_C = None if self.score_C is None else self.score_C[place_K]
        self.propensity_C = None if self.propensity_C is None else self.propensity_C[place_K]
        self.drawn_DC = None if self.drawn_DC is None else self.drawn_DC.take(place_K, axis=1)
        self.dense_CF = None if self.dense_CF is None else self.dense_CF.take(place_K, axis=0)

    def rank_in(self, source: str) -> NDArray[np.int32]:
        """[C]: the rank that a source gave each candidate, `ABSENT` where it gave none."""
        if source in self.sources:
            rank_C: NDArray[np.int32] = self.rank_SC[self.sources.index(source)]
            return rank_C
        return np.full(len(self), ABSENT, np.int32)

    def sources_of(self, place: int) -> tuple[str, ...]:
        """The sources that proposed the candidate at a place."""
        ranks = self.rank_SC[:, place].tolist()
        return tuple(name for name, rank in zip(self.sources, ranks, strict=True) if rank != ABSENT)

    def best_source(self, place: int) -> str:
        """The source in which the candidate at a place has its best rank, the first of several."""
        return self.sources[int(self.rank_SC[:, place].argmin())]

    def reason_of(self, row: int) -> str | None:
        """Why a row of the catalogue was removed, None where it was not."""
        return next((one.reason for one in self.removed if row in one.row_N), None)


def no_candidates() -> Candidates:
    """Those of a request that no source was asked for yet."""
    return Candidates((), np.zeros(0, np.int64), np.zeros((0, 0), np.int32))
