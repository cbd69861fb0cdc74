"""Shared tables: states of entities that several partitions have something to say about.

An item is shown to users of every partition. Each stream worker counts what its own partition says
and publishes that partial state, an absolute row with its position, to the compacted
`item-features` topic. Whoever needs the entity reads the topic into one of these tables.

    R entities known   N entities asked for   K rows
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headrace.features.accumulators import State
from headrace.features.facts import Ints
from headrace.features.layout import Layout
from headrace.features.state import Rows, fresh_rows, whole


class SharedTable:
    """Partial states per partition, and merged states, of one kind of entity, by its id."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.ids: list[str] = []
        self._number_of: dict[str, int] = {}
        self._partials: dict[int, _Partials] = {}
        self._merged_R = fresh_rows(layout, 1)  # the last one is nobody's: number -1 reads it
        self._stale_R = np.zeros(1, dtype=bool)

    def __len__(self) -> int:
        return len(self.ids)

    def numbers(self, ids: Iterable[str]) -> Ints:
        """[N]: the numbers of these entities, new ones for those not known yet."""
        number_of, known = self._number_of, len(self.ids)
        numbers_N = np.array([number_of.setdefault(id_, len(number_of)) for id_ in ids], np.int64)
        if len(number_of) > known:
            self.ids += list(number_of)[known:]
            self._reserve(len(number_of))
        return numbers_N

    def find(self, ids: Iterable[str]) -> Ints:
        """[N]: the numbers of these entities, -1 for those not known."""
        return np.array([self._number_of.get(id_, -1) for id_ in ids], np.int64)

    def partials(self, numbers_N: Ints, partition: int) -> Rows:
        """[N]: copies of the rows of distinct entities in a partition."""
        return self._of(partition).read(numbers_N)

    def replace(self, numbers_N: Ints, partition: int, rows_N: Rows) -> None:
        """Put back rows of distinct entities in a partition."""
        self._of(partition).write(numbers_N, rows_N)
        self._stale_R[numbers_N] = True

    def apply(self, ids: Sequence[str], rows_K: Rows) -> None:
        """Take in rows that were published; one that is not newer than what is known is skipped."""
        numbers_K = self.numbers(ids)
        for partition in np.unique(rows_K["partition"]):
            came = np.flatnonzero(rows_K["partition"] == partition)
            came = came[np.argsort(rows_K["position"][came], kind="stable")]
            last = {number: place for number, place in zip(numbers_K[came], came, strict=True)}
            numbers, places = np.array(list(last)), np.array(list(last.values()))
            newer = rows_K["position"][places] > self.partials(numbers, partition)["position"]
            self.replace(numbers[newer], int(partition), rows_K[places[newer]])

    def forget(self, ids: Iterable[str], partition: int) -> None:
        """Drop a partition's rows of these entities: they are as before its first event."""
        numbers_N = np.unique(self.find(ids))
        numbers_N = numbers_N[numbers_N >= 0]
        if partition in self._partials and len(numbers_N):
            self._partials[partition].drop(numbers_N)
            self._stale_R[numbers_N] = True

    def states(self, numbers_N: Ints) -> State:
        """[N]: the merged states of these entities; number -1 has the empty state."""
        return self.merged(numbers_N)["state"]

    def merged(self, numbers_N: Ints) -> Rows:
        """[N]: the merged rows: states over all partitions, and the newest event time.

        Their position is the number of the events before the partitions' positions, less one: it
        grows with what a row includes, and is the partition's own where there is one partition.
        """
        stale_V = np.unique(numbers_N[self._stale_R[numbers_N]])
        if len(stale_V):
            self._merge(stale_V)
        return self._merged_R.take(numbers_N)

    def _merge(self, stale_V: Ints) -> None:
        rows_V = fresh_rows(self.layout, len(stale_V))
        for partials in self._partials.values():
            has_V = partials.having(stale_V)
            other = partials.read(stale_V[has_V])
            state = rows_V["state"][has_V]
            self.layout.merge(state, other["state"])
            rows_V["state"][has_V] = state
            newest = np.maximum(rows_V["event_time_ms"][has_V], other["event_time_ms"])
            rows_V["event_time_ms"][has_V] = newest
            rows_V["position"][has_V] += other["position"] + 1
        whole(self._merged_R)[stale_V] = whole(rows_V)
        self._stale_R[stale_V] = False

    def _of(self, partition: int) -> _Partials:
        if partition not in self._partials:
            self._partials[partition] = _Partials(self.layout, partition)
        return self._partials[partition]

    def _reserve(self, num: int) -> None:
        if num >= len(self._merged_R):
            more = max(num + 1, 2 * len(self._merged_R), 1_024) - len(self._merged_R)
            self._merged_R = np.concatenate([self._merged_R, fresh_rows(self.layout, more)])
            self._stale_R = np.concatenate([self._stale_R, np.zeros(more, dtype=bool)])


class _Partials:
    """The rows of one partition, for the entities that it spoke of."""

    def __init__(self, layout: Layout, partition: int) -> None:
        self._layout, self._partition = layout, partition
        self._rows_K = fresh_rows(layout, 1, partition)  # the last one is of those without a row
        self._place_R = np.full(0, -1, dtype=np.int64)
        self._num_rows = 0
        self._free: list[int] = []  # places of rows that were dropped

    def having(self, numbers_N: Ints) -> Ints:
        """The places in `numbers_N` of those that have a row."""
        return np.flatnonzero(self._places(numbers_N) >= 0)

    def read(self, numbers_N: Ints) -> Rows:
        return self._rows_K.take(self._places(numbers_N))

    def write(self, numbers_N: Ints, rows_N: Rows) -> None:
        place_N = self._places(numbers_N)
        fresh = np.flatnonzero(place_N < 0)
        free = [self._free.pop() for _ in range(min(len(self._free), len(fresh)))]
        more = len(fresh) - len(free)
        new = np.arange(self._num_rows, self._num_rows + more)
        place_N[fresh] = np.concatenate([np.array(free, np.int64), new])
        self._place_R[numbers_N] = place_N
        self._num_rows += more
        if self._num_rows >= len(self._rows_K):
            room = max(self._num_rows + 1, 2 * len(self._rows_K), 256) - len(self._rows_K)
            self._rows_K = np.concatenate(
                [self._rows_K, fresh_rows(self._layout, room, self._partition)]
            )
        whole(self._rows_K)[place_N] = whole(rows_N)

    def drop(self, numbers_N: Ints) -> None:
        places = self._places(numbers_N)
        self._free += places[places >= 0].tolist()
        self._place_R[numbers_N] = -1

    def _places(self, numbers_N: Ints) -> Ints:
        beyond = int(numbers_N.max(initial=-1)) + 1 - len(self._place_R)
        if beyond > 0:
            more = max(beyond, len(self._place_R))
            self._place_R = np.concatenate([self._place_R, np.full(more, -1, dtype=np.int64)])
        return self._place_R[numbers_N].copy()
