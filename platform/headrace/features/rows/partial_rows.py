"""Partial rows: the partitions' partial states of entities of a kind.

A row takes memory once an entity has one: of most items few partitions have anything to say.

N entities asked for   K rows   R entities known
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.floats import whole
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.state_row import Rows, blank_rows

NONE: Final = -1  # partitions that an entity has rows of
SEVERAL: Final = -2


class SparseRows:
    """Rows of those entities that have one: of one partition, or merged ones."""

    def __init__(self, layout: Layout, partition: int) -> None:
        self._layout, self._partition = layout, partition
        self._rows_K = blank_rows(layout, 1, partition)  # the last one is of those without a row
        self._place_R = np.full(0, -1, dtype=np.int32)
        self._num_rows = 0
        self._free: list[int] = []  # places of rows that were dropped

    @property
    def num_bytes(self) -> int:
        return self._rows_K.nbytes + self._place_R.nbytes

    def having(self, index_N: Ints) -> Ints:
        """The places in `index_N` of those that have a row."""
        return np.flatnonzero(self._places(index_N) >= 0)

    def read(self, index_N: Ints) -> Rows:
        return self._rows_K.take(self._places(index_N))

    def write(self, index_N: Ints, rows_N: Rows) -> None:
        place_N = self._places(index_N)
        fresh = np.flatnonzero(place_N < 0)
        free = [self._free.pop() for _ in range(min(len(self._free), len(fresh)))]
        more = len(fresh) - len(free)
        new = np.arange(self._num_rows, self._num_rows + more)
        place_N[fresh] = np.concatenate([np.array(free, np.int64), new])
        self._place_R[index_N] = place_N
        self._num_rows += more
        if self._num_rows >= len(self._rows_K):
            self._grow(max(self._num_rows + 1, 5 * len(self._rows_K) // 4, 256))
        whole(self._rows_K)[place_N] = whole(rows_N)

    def drop(self, index_N: Ints) -> None:
        places = self._places(index_N)
        self._free += places[places >= 0].tolist()
        self._place_R[index_N] = -1

    def shrink(self, num: int) -> None:
        """Keep the rows of the entities with lower indexes than this, and no room beside them."""
        index_K = np.flatnonzero(self._place_R[:num] >= 0)
        rows_K = self._rows_K.take(self._place_R[index_K])
        nobodys = blank_rows(self._layout, 1, self._partition)
        self._rows_K = np.concatenate([rows_K, nobodys])
        self._place_R = np.full(num + 1, -1, dtype=np.int32)
        self._place_R[index_K] = np.arange(len(index_K))
        self._num_rows, self._free = len(index_K), []

    def _grow(self, capacity: int) -> None:
        """Have room for so many rows. Room that was never written to takes no memory."""
        grown_K = np.zeros(capacity, self._rows_K.dtype)
        before = len(self._rows_K) - 1
        whole(grown_K)[:before] = whole(self._rows_K)[:before]
        whole(grown_K)[-1] = whole(self._rows_K)[-1]
        self._rows_K = grown_K

    def _places(self, index_N: Ints) -> Ints:
        beyond = int(index_N.max(initial=-1)) + 2 - len(self._place_R)  # the last one is nobody's
        if beyond > 0:
            more = max(beyond, len(self._place_R) // 4)
            self._place_R = np.concatenate([self._place_R, np.full(more, -1, dtype=np.int32)])
        return self._place_R[index_N].astype(np.int64)


class AllPartialRows:
    """The partial rows of all partitions, of one kind of entity."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._of: dict[int, SparseRows] = {}

    @property
    def num_bytes(self) -> int:
        return sum(partials.num_bytes for partials in self._of.values())

    def of(self, partition: int) -> SparseRows:
        if partition not in self._of:
            self._of[partition] = SparseRows(self._layout, partition)
        return self._of[partition]

    def __contains__(self, partition: int) -> bool:
        return partition in self._of

    def have(self, index_N: Ints) -> NDArray[np.bool_]:
        """[N]: which of these entities have a row in any partition."""
        has_N = np.zeros(len(index_N), dtype=bool)
        for partials in self._of.values():
            has_N[partials.having(index_N)] = True
        return has_N

    def only(self, index_N: Ints) -> Ints:
        """[N]: the partition that alone has a row of the entity, `NONE` or `SEVERAL`."""
        only_N = np.full(len(index_N), NONE, np.int64)
        for partition, partials in self._of.items():
            has_N = partials.having(index_N)
            only_N[has_N] = np.where(only_N[has_N] == NONE, int(partition), SEVERAL)
        return only_N

    def merged(self, index_N: Ints) -> Rows:
        """[N]: the rows of these distinct entities, merged."""
        rows_N = blank_rows(self._layout, len(index_N))
        for partials in self._of.values():
            has_N = partials.having(index_N)
            other = partials.read(index_N[has_N])
            state = rows_N["state"][has_N]
            self._layout.merge(state, other["state"])
            rows_N["state"][has_N] = state
            newest = np.maximum(rows_N["event_time_ms"][has_N], other["event_time_ms"])
            rows_N["event_time_ms"][has_N] = newest
            rows_N["position"][has_N] += other["position"] + 1
        return rows_N

    def drop(self, index_E: Ints) -> dict[int, tuple[int, ...]]:
        """Forget these entities; returns the partitions that had a row of each."""
        had: dict[int, list[int]] = {index: [] for index in index_E.tolist()}
        for partition, partials in self._of.items():
            having_E = index_E[partials.having(index_E)]
            partials.drop(having_E)
            for index in having_E.tolist():
                had[index].append(partition)
        return {index: tuple(partitions) for index, partitions in had.items()}

    def shrink(self, num: int) -> None:
        """Keep the rows of the entities with lower indexes than this, and no room beside them."""
        for partials in self._of.values():
            partials.shrink(num)
