"""The index of items' vectors: the nearest by inner product, while items come, change and go.

    D width   U vectors put   R recent ones   S those of the sealed part   L nearest   K keys

A sealed part never changes, so requests read it without a lock. What comes is appended beside it
and compared exactly; what goes or changes is marked in the sealed part. Both are seen by the next
request. When there is much of either, the recent vectors are appended to the cells of a copy, or
the cells are made anew, beside the requests, and the copy takes the place of the sealed part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.index.sealed import Bits, Floats, Ints, Sealed, Vectors
from headrace.index.shared import shared

MOST_RECENT: Final = 8_192  # vectors beside the sealed part
MOST_GONE: Final = 0.25  # share of the sealed part
GROWN: Final = 2.0  # times as many as when the cells were made: they are made anew
NOBODY: Final = -1  # the place of a row that is always empty, the last
WIDER: Final = 4  # times as many are asked for where a filter leaves too few

Filter = Callable[[Ints], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """The parts of one moment. Bits of the sealed part are only ever taken away; rows of the recent
    part beyond `num_recent` are not read."""

    sealed: Sealed
    alive: Bits  # by place of the sealed part
    num_gone: int
    key_R: Ints  # 0: gone
    vector_RD: Floats
    num_recent: int

    def nearest(self, query_D: Floats, limit: int) -> tuple[Ints, Floats]:
        """[L], [L]: the keys of the nearest, best first, each once, and the products."""
        alive = self.alive if self.num_gone else None
        score_S, place_S = self.sealed.nearest(query_D, limit, alive)
        key_R = self.key_R[: self.num_recent]
        score_R = self.vector_RD[: self.num_recent] @ query_D
        keys = np.concatenate([self.sealed.key_N[place_S], key_R[key_R != 0]])
        scores = np.concatenate([score_S, score_R[key_R != 0]])
        order_L = np.argsort(-scores, kind="stable")
        if self.num_recent:  # one that was changed this moment may be in both
            _, first = np.unique(keys[order_L], return_index=True)
            order_L = order_L[np.sort(first)]
        return keys[order_L[:limit]], scores[order_L[:limit]]


@dataclass(frozen=True, slots=True)
class Resealed:
    """A sealed part that is to have the place of another: the places in it whose vectors were gone
    before, and how many of the recent ones are in it."""

    sealed: Sealed
    gone: Ints
    num_recent: int


class VectorIndex:
    """Vectors by item key. `put` and `remove` are for one thread, `rebuild` for one at a time, and
    `nearest` for all."""

    def __init__(
        self, key_N: Ints, vectors: Vectors, width: int, folder: Path | None = None
    ) -> None:
        """The index of these distinct keys' vectors, of this width. Where it is large and a folder
        is given, processes that make the same one share it there."""
        self._width = width
        self._lock = threading.Lock()  # over everything but a reading
        self._place_of: dict[int, int] = {}  # of the recent ones
        self._gone_since: list[Ints] | None = None  # keys, while it is rebuilt
        sealed = Sealed.of(key_N, vectors)
        self._reading = self._fresh(sealed if folder is None else shared(sealed, folder))

    @classmethod
    def of(cls, key_N: Ints, vector_ND: Floats) -> VectorIndex:
        """The index of these vectors, whose keys are distinct."""
        return cls(key_N, vector_ND.__getitem__, vector_ND.shape[1])

    def __len__(self) -> int:
        reading = self._reading
        return len(reading.sealed) - reading.num_gone + len(self._place_of)

    @property
    def num_bytes(self) -> int:
        """Bytes of all parts."""
        reading = self._reading
        recent = reading.key_R.nbytes + reading.vector_RD.nbytes
        return reading.sealed.num_bytes + reading.alive.nbytes + recent

    def nearest(self, query_D: Floats, limit: int, keep: Filter | None = None) -> Ints:
        """[L]: the keys of at most so many items with the greatest products, best first; with a
        filter of those that it keeps."""
        return self.scored(query_D, limit, keep)[0]

    def scored(
        self, query_D: Floats, limit: int, keep: Filter | None = None
    ) -> tuple[Ints, Floats]:
        """[L], [L]: the same, with the products."""
        reading, query_D = self._reading, np.ascontiguousarray(query_D, np.float32)
        num_all = len(reading.sealed) + reading.num_recent
        asked = min(limit, num_all)
        while True:
            key_L, score_L = reading.nearest(query_D, asked)
            if keep is not None:
                is_kept_L = keep(key_L)
                key_L, score_L = key_L[is_kept_L], score_L[is_kept_L]
            if len(key_L) >= limit or asked >= num_all or keep is None:
                return key_L[:limit], score_L[:limit]
            asked = min(WIDER * asked, num_all)

    def put(self, key_U: Ints, vector_UD: Floats) -> None:
        """Vectors of items, in the place of those that they had; the keys are distinct."""
        with self._lock:
            vector_UD = vector_UD.astype(np.float32, copy=False)
            before = [self._place_of.get(key, NOBODY) for key in key_U.tolist()]
            self._reading = self._appended(self._reading, key_U, vector_UD)
            self._reading.key_R[before] = 0
            self._forget(key_U)

    def remove(self, key_U: Ints) -> None:
        """Leave out the vectors of these items, where they are there."""
        with self._lock:
            self._forget(key_U)
            for key in key_U.tolist():
                self._reading.key_R[self._place_of.pop(key, NOBODY)] = 0

    def rebuild_if_due(self) -> None:
        """Rebuild it in a thread of its own where so much has come or gone that it pays, and nobody
        does."""
        with self._lock:
            if self._gone_since is not None or not self.is_due:
                return
            self._gone_since = []
        threading.Thread(target=self.rebuild, name="index", daemon=True).start()

    @property
    def is_due(self) -> bool:
        """Whether so much has come or gone that it pays to rebuild it."""
        reading = self._reading
        num_gone, num_sealed = reading.num_gone, len(reading.sealed)
        return reading.num_recent > MOST_RECENT or num_gone > MOST_GONE * num_sealed

    def rebuild(self) -> None:
        """Seal the recent vectors, and leave out those that are gone if they are many."""
        self.swap_in(self.seal())

    def seal(self) -> Resealed:
        """The next sealed part, of all that is there now; what changes from now on is noted."""
        with self._lock:
            reading, self._gone_since = self._reading, []
            is_here_R = reading.key_R[: reading.num_recent] != 0
            key_R = reading.key_R[: reading.num_recent][is_here_R]
            vector_RD = reading.vector_RD[: reading.num_recent][is_here_R]
            alive_S = _bits_of(reading.alive, len(reading.sealed))
        sealed, num_alive = reading.sealed, int(alive_S.sum())
        has_grown = num_alive + len(key_R) > GROWN * sealed.num_trained
        if not has_grown and num_alive >= (1 - MOST_GONE) * len(sealed):
            next_one = sealed.extended(key_R, vector_RD)
            return Resealed(next_one, np.flatnonzero(~alive_S), reading.num_recent)
        key_N = np.concatenate([sealed.key_N[alive_S], key_R])
        vector_ND = np.concatenate([sealed.vectors()[alive_S], vector_RD])
        return Resealed(
            Sealed.of(key_N, vector_ND.__getitem__), np.zeros(0, np.int64), reading.num_recent
        )

    def swap_in(self, made: Resealed) -> None:
        """Let this part have the place of the sealed one; what changed meanwhile stays changed."""
        with self._lock:
            before, since = self._reading, self._gone_since or []
            gone = [made.gone, *(made.sealed.places(keys) for keys in since)]
            rest = slice(made.num_recent, before.num_recent)
            is_here_R = before.key_R[rest] != 0
            key_R, vector_RD = before.key_R[rest][is_here_R], before.vector_RD[rest][is_here_R]
            self._gone_since, self._place_of = None, {}
            fresh = _without(self._fresh(made.sealed), np.concatenate(gone))
            self._reading = self._appended(fresh, key_R, vector_RD)

    def _appended(self, reading: _Reading, key_U: Ints, vector_UD: Floats) -> _Reading:
        """The reading with these behind the recent ones."""
        begin, end = reading.num_recent, reading.num_recent + len(key_U)
        key_R, vector_RD = reading.key_R, reading.vector_RD
        if end + 1 > len(key_R):
            more = end + end // 2 + 64 - len(key_R)
            key_R = np.concatenate([key_R, np.zeros(more, np.int64)])
            vector_RD = np.concatenate([vector_RD, np.zeros((more, self._width), np.float32)])
        key_R[begin:end], vector_RD[begin:end] = key_U, vector_UD
        self._place_of.update(zip(key_U.tolist(), range(begin, end), strict=True))
        return replace(reading, key_R=key_R, vector_RD=vector_RD, num_recent=end)

    def _forget(self, key_U: Ints) -> None:
        """Mark these as gone in the sealed part, and in one that is in the making."""
        self._reading = _without(self._reading, self._reading.sealed.places(key_U))
        if self._gone_since is not None:
            self._gone_since.append(key_U)

    def _fresh(self, sealed: Sealed) -> _Reading:
        alive = np.full(-(-len(sealed) // 8), 255, np.uint8)
        recent = np.zeros(1, np.int64), np.zeros((1, self._width), np.float32)
        return _Reading(sealed, alive, 0, *recent, 0)


def _without(reading: _Reading, place_K: Ints) -> _Reading:
    """The reading in which these places of the sealed part are gone."""
    bit_K = (1 << (place_K & 7)).astype(np.uint8)
    is_new_K = reading.alive[place_K >> 3] & bit_K != 0
    np.bitwise_and.at(reading.alive, place_K >> 3, ~bit_K)
    num_new = len(np.unique(place_K[is_new_K]))
    return replace(reading, num_gone=reading.num_gone + num_new) if num_new else reading


def _bits_of(bits: Bits, num: int) -> NDArray[np.bool_]:
    """The first so many bits, each as a truth value."""
    return np.unpackbits(bits, count=num, bitorder="little").astype(np.bool_)
