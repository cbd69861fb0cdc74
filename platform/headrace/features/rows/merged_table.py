"""Merged tables: states of entities that several partitions have something to say about.

An item is shown to users of every partition. Each stream worker counts what its own partitions say
and publishes that partial state, an absolute row with its position, to the compacted topic
`item-partials`, where the entity's owner reads it into one of these tables. What the owner merges
it publishes in `item-features`: a table has the partial rows of the entities that its worker
merges, and those that it counts itself; of all others it has the merged row. Each row is there
once: where one partition alone speaks of an entity, its row is the merged one.

Entities that nobody announced, whose ids any sender may make up, share a bounded number of places.
They are forgotten when they were not heard of for long, or when others need their places.

    R entities known   N entities asked for   K rows   E entities to forget
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.floats import whole
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.bounds import NOTHING, Share
from headrace.features.rows.partial_rows import NONE, SEVERAL, AllPartialRows, SparseRows
from headrace.features.rows.state_row import Rows

IN_THIS_STEP: Final = 1 << 62  # a time
MIN_ROWS: Final = 1_024  # that a table grows or shrinks by
_ABOUT: Final = np.dtype([
    ("only", "<i8"), ("heard_ms", "<i8"), ("is_stale", "?"), ("is_unknown", "?"), ("is_others", "?")
])  # fmt: skip
_NOBODY: Final = np.array([(NONE, 0, False, False, False)], _ABOUT)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An entity that a table has no more, and the partitions whose rows of it went."""

    entity_id: str
    partitions: tuple[int, ...]


class MergedTable:
    """Partial states per partition, and merged states, of one kind of entity, by its id.

    Entities that are not `is_known` have a share, and index -1 while all of it is taken.
    """

    def __init__(
        self,
        layout: Layout,
        is_known: Callable[[str], bool] = lambda entity_id: True,
        share: Share = NOTHING,
    ) -> None:
        self.layout = layout
        self.ids: list[str] = []  # by index; "" where it is free
        self.num_unknown = self.num_forgotten = 0
        self.num_refused = 0  # mentions while there was no place
        self._is_known, self._share = is_known, share
        self._own: tuple[int, ...] = ()
        self._index_of: dict[str, int] = {}
        self._free: list[int] = []  # descending: the lowest is the next, so that the end gets free
        self._new: list[int] = []  # indexes given since `take_new`
        self._forgotten: list[Forgotten] = []
        self._partials = AllPartialRows(layout)
        self._merges: Callable[[str], bool] = lambda entity_id: True
        self._kept = SparseRows(layout, 0)  # merged rows of others, and of several partitions
        self._hold(_NOBODY.copy())  # the last one is nobody's: index -1 reads it

    def __len__(self) -> int:
        return len(self._index_of)

    @property
    def num_bytes(self) -> int:
        """Bytes of the partial and merged rows, and of the flags and times beside them."""
        return self._partials.num_bytes + self._kept.num_bytes + self._about_R.nbytes

    def all_ids(self) -> list[str]:
        """Of the entities in the table."""
        return list(self._index_of)

    def indexes(self, ids: Iterable[str]) -> Ints:
        """[N]: the indexes of these entities, new ones for those not known yet; -1 without one."""
        ids = ids if isinstance(ids, Sequence) else list(ids)
        index_N = self.find(ids)
        if index_N.min(initial=0) < 0:
            missing = np.flatnonzero(index_N < 0).tolist()
            for entity_id in dict.fromkeys(ids[place] for place in missing):
                self._give_index(entity_id)
            index_N[missing] = self.find([ids[place] for place in missing])
        if self.num_unknown:
            self._heard_ms_R[index_N] = IN_THIS_STEP
        return index_N

    def find(self, ids: Iterable[str]) -> Ints:
        """[N]: the indexes of these entities, -1 for those not known."""
        return np.fromiter(map(self._index_of.get, ids, repeat(-1)), np.int64)

    def having(self, ids: Iterable[str]) -> list[str]:
        """Those of these entities that are in the table."""
        return [entity_id for entity_id in ids if entity_id in self._index_of]

    def lacking(self, ids: Iterable[str]) -> list[str]:
        """Those of these entities that are not, each once."""
        return [entity_id for entity_id in dict.fromkeys(ids) if entity_id not in self._index_of]

    def are_unknown(self, index_N: Ints) -> NDArray[np.bool_]:
        """[N]: True for entities of the share."""
        return self._unknown_R[index_N]

    def counts(self) -> dict[str, int]:
        """Unknown entities: in the table, forgotten so far, and mentioned without a place."""
        return {
            "kept": self.num_unknown,
            "forgotten": self.num_forgotten,
            "refused": self.num_refused,
        }

    def take_new(self) -> list[int]:
        """The indexes given since the last call."""
        new, self._new = self._new, []
        return new

    def take_forgotten(self) -> list[Forgotten]:
        """The entities forgotten since the last call, and those whose rows found no place."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def classify(self, ids: Iterable[str]) -> list[str]:
        """Ask anew which of these entities are known, and return those that have become so. One
        that is no more shares the places of those nobody announced, and is forgotten like them."""
        became = []
        for entity_id in self.having(ids):
            index, is_unknown = self._index_of[entity_id], not self._is_known(entity_id)
            if self._unknown_R[index] and not is_unknown:
                became.append(entity_id)
            self.num_unknown += is_unknown - bool(self._unknown_R[index])
            self._unknown_R[index], self._heard_ms_R[index] = is_unknown, IN_THIS_STEP
        return became

    def own(self, partitions: Iterable[int]) -> None:
        """Mark these partitions as own: their rows are put here, and the topic only echoes them."""
        self._own = tuple(partitions)

    def merge_only(self, merges: Callable[[str], bool]) -> None:
        """Merge these entities' rows only: of others the merged row comes by `take_merged`. To be
        said before there are any entities."""
        self._merges = merges

    def end_step(self, now_ms: int) -> None:
        """Forget unknown entities not heard of for as long as their share says, and as many more,
        those not heard of for longest first, as leave a quarter of it free."""
        if not self.num_unknown:
            return
        index_E = np.flatnonzero(self._unknown_R)
        self._heard_ms_R[index_E] = np.minimum(self._heard_ms_R[index_E], now_ms)
        index_E = index_E[np.argsort(self._heard_ms_R[index_E], kind="stable")]
        due_ms, kept = now_ms - self._share.expire_ms, self._share.max_entities * 3 // 4
        num_expired = int((self._heard_ms_R[index_E] <= due_ms).sum())
        self._free_indexes(index_E[: max(num_expired, len(index_E) - kept)])

    def partials(self, index_N: Ints, partition: int) -> Rows:
        """[N]: copies of the rows of distinct entities in a partition."""
        return self._partials.of(partition).read(index_N)

    def replace(self, index_N: Ints, partition: int, rows_N: Rows) -> None:
        """Put back rows of distinct entities in a partition."""
        self._partials.of(partition).write(index_N, rows_N)
        self._stale_R[index_N] |= ~self._others_R[index_N] & (self._only_R[index_N] != partition)

    def apply(self, ids: Sequence[str], rows_K: Rows) -> None:
        """Take in published rows; one that is not newer than its partition's row is skipped."""
        others_K = ~np.isin(rows_K["partition"], self._own)
        self.indexes([ids[place] for place in np.flatnonzero(others_K).tolist()])
        index_K = self.find(ids)
        self._refuse(ids, rows_K, np.flatnonzero(others_K & (index_K < 0)))
        for partition in np.unique(rows_K["partition"]):
            came = np.flatnonzero((rows_K["partition"] == partition) & (index_K >= 0))
            came = came[np.argsort(rows_K["position"][came], kind="stable")]
            last = {index: place for index, place in zip(index_K[came], came, strict=True)}
            indexes = np.array(list(last), np.int64)
            places = np.array(list(last.values()), np.int64)
            newer = rows_K["position"][places] > self.partials(indexes, partition)["position"]
            self.replace(indexes[newer], int(partition), rows_K[places[newer]])

    def forget(self, ids: Iterable[str], partition: int) -> None:
        """Drop a partition's rows of these entities: they are as before its first event."""
        index_N = np.unique(self.find(ids))
        index_N = index_N[index_N >= 0]
        if partition in self._partials and partition not in self._own and len(index_N):
            self._partials.of(partition).drop(index_N)
            self._stale_R[index_N] = ~self._others_R[index_N]
            self._free_indexes(index_N[self._unknown_R[index_N] & ~self._partials.have(index_N)])

    def take_merged(self, gone: Iterable[str], ids: Sequence[str], rows_K: Rows) -> None:
        """Take in the merged rows of distinct entities that others merge, and which of those are
        forgotten by whoever does."""
        index_K = self.indexes(ids)
        theirs = np.flatnonzero(self._others_R[index_K])
        self._kept.write(index_K[theirs], rows_K.take(theirs))
        index_N = self.find(gone)
        index_N = index_N[self._others_R[index_N]]
        self._kept.drop(index_N)
        self._free_indexes(index_N[self._unknown_R[index_N] & ~self._partials.have(index_N)])

    def states(self, index_N: Ints) -> State:
        """[N]: the merged states of these entities; index -1 has the empty state."""
        return self.merged(index_N)["state"]

    def merged(self, index_N: Ints) -> Rows:
        """[N]: the merged rows: states over all partitions, and the newest event time.

        Their position is the number of the events before the partitions' positions, less one: it
        grows with what a row includes, and is the partition's own where there is one partition.
        """
        stale_V = np.unique(index_N[self._stale_R[index_N]])
        if len(stale_V):
            only_V = self._partials.only(stale_V)
            self._only_R[stale_V], self._stale_R[stale_V] = only_V, False
            self._kept.drop(stale_V[only_V != SEVERAL])
            several_M = stale_V[only_V == SEVERAL]
            self._kept.write(several_M, self._partials.merged(several_M))
        rows_N, only_N = self._kept.read(index_N), self._only_R[index_N]
        for partition in np.unique(only_N[only_N >= 0]).tolist():
            its_N = np.flatnonzero(only_N == partition)
            whole(rows_N)[its_N] = whole(self._partials.of(partition).read(index_N[its_N]))
        rows_N["partition"] = 0
        return rows_N

    def _give_index(self, entity_id: str) -> None:
        """An index for an entity that has none, if there is one."""
        known = self._is_known(entity_id)
        if not known and self.num_unknown >= self._share.max_entities:
            self.num_refused += 1
            return
        if self._free:
            index = self._free.pop()
            self.ids[index] = entity_id
        else:
            index = len(self.ids)
            self.ids.append(entity_id)
            self._reserve(len(self.ids))
        self._index_of[entity_id] = index
        self._unknown_R[index], self._heard_ms_R[index] = not known, IN_THIS_STEP
        self._others_R[index] = not self._merges(entity_id)
        self.num_unknown += not known
        self._new.append(index)

    def _free_indexes(self, index_E: Ints) -> None:
        """Forget entities: their indexes and rows are free for others."""
        if not len(index_E):
            return
        partitions_of = self._partials.drop(index_E)
        for index, partitions in partitions_of.items():
            self._forgotten.append(Forgotten(self.ids[index], partitions))
            del self._index_of[self.ids[index]]
            self.ids[index] = ""
        self._free = sorted([*self._free, *partitions_of], reverse=True)
        self.num_forgotten += len(partitions_of)
        self.num_unknown -= int(self._unknown_R[index_E].sum())
        self._about_R[index_E] = _NOBODY
        self._kept.drop(index_E)
        self._shrink()

    def _shrink(self) -> None:
        """Give back the rows behind the last one in use, where they are more than those before."""
        num = next((n for n in range(len(self.ids), 0, -1) if self.ids[n - 1]), 0)
        if len(self.ids) - num <= max(num, MIN_ROWS):
            return
        del self.ids[num:]
        self._free = [index for index in self._free if index < num]
        self._new = [index for index in self._new if index < num]
        self._hold(self._about_R[: num + 1].copy())  # the last one is nobody's
        self._partials.shrink(num)
        self._kept.shrink(num)

    def _refuse(self, ids: Sequence[str], rows_K: Rows, place_E: Ints) -> None:
        partitions = rows_K["partition"][place_E].tolist()
        for place, partition in zip(place_E.tolist(), partitions, strict=True):
            self._forgotten.append(Forgotten(ids[place], (partition,)))

    def _reserve(self, num: int) -> None:
        if num >= len(self._about_R):
            more = max(num + 1, 5 * len(self._about_R) // 4, MIN_ROWS) - len(self._about_R)
            self._hold(np.append(self._about_R, _NOBODY.repeat(more)))

    def _hold(self, about_R: NDArray[Any]) -> None:
        self._about_R = about_R
        self._only_R: Ints = about_R["only"]  # the partition whose row is the merged one
        self._heard_ms_R: Ints = about_R["heard_ms"]
        self._stale_R: NDArray[np.bool_] = about_R["is_stale"]
        self._unknown_R: NDArray[np.bool_] = about_R["is_unknown"]
        self._others_R: NDArray[np.bool_] = about_R["is_others"]  # another worker merges it
