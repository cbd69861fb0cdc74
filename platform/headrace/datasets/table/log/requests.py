"""Requests: rows of one time, user and request put together, equal items of one merged.

N rows   M rows that share their moment with another   E events
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.action import BIT, EVERY_ACTION, TABLE, strongest
from headrace.datasets.table.bad_rows import MAX_EXAMPLES, Fault
from headrace.datasets.table.log.fields import (
    AMOUNT,
    BACK,
    CAME,
    FILE,
    IS_SHOWN,
    ITEM,
    LINE,
    POSITION,
    REQUEST,
    SURFACE,
    TIME,
    USER,
)
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import EventColumns
from headrace.event import MAX_ITEMS

_RISING: Final = sorted(TABLE, key=lambda row: (not row.wish, row.strength, BIT[row.name]))
_RANK: Final = {0: 0, **{BIT[row.name]: rank for rank, row in enumerate(_RISING, 1)}}
STRENGTH: Final = np.array([_RANK[strongest(mask)] for mask in range(EVERY_ACTION + 1)])

REPEATED: Final = "already in the request"

Indices = NDArray[np.int64]


class Requests(NamedTuple):
    """Rows event by event, the items of one in the order of their positions."""

    rows: pa.RecordBatch
    start_E: Indices  # of each event's rows


class Grouping:
    """How rows of one moment belong together, by the mapping; `files` are the names by number."""

    def __init__(self, part: EventColumns, files: Sequence[str], tally: Tally) -> None:
        self._part, self._files, self._tally = part, files, tally
        item = part.item_ids.column if part.item_ids else part.item_id
        self._item_column = item or ITEM
        self._keys = [TIME, USER, ITEM, IS_SHOWN, BACK]
        if part.tells_impressions:
            self._keys.append(REQUEST)

    def merged(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows without those of a time, user, request and item that another row tells.

        What was taken back stays apart. What came of either came, amounts add up, and the rest is
        told by the row with the stronger action; or one row tells everything, the first or last,
        where the mapping says so. An impression that only repeats another is a bad row.
        """
        keys = [name for name in self._keys if name in rows.schema.names]
        place_M, group_M = _alike(rows, keys)
        if not len(place_M):
            return rows
        order_M = np.argsort(group_M, kind="stable")
        start_G = np.flatnonzero(np.diff(group_M[order_M], prepend=-1))
        came_N, first_G = _numpy(rows, CAME).copy(), place_M[order_M[start_G]]
        num_repeated = self._refuse_repeated(rows, place_M, group_M, came_N[place_M])
        taken_N = np.arange(len(rows))
        taken_N[first_G] = place_M[self._chosen(came_N[place_M], group_M)]
        told = rows.take(pa.array(taken_N))
        if self._part.distinct is None:
            came_N[first_G] = np.bitwise_or.reduceat(came_N[place_M[order_M]], start_G)
            told = _replaced(told, CAME, came_N)
            if AMOUNT in rows.schema.names:
                amount_N = _numpy(rows, AMOUNT).copy()
                amount_N[first_G] = _sums(amount_N[place_M[order_M]], start_G)
                told = _replaced(told, AMOUNT, amount_N)
        kept_N = np.ones(len(rows), np.bool_)
        kept_N[place_M] = False
        kept_N[first_G] = True
        self._tally.num_merged += int(len(kept_N) - kept_N.sum()) - num_repeated
        return told.filter(pa.array(kept_N))

    def requests(self, rows: pa.RecordBatch) -> Requests:
        """The requests of merged rows; a row that does not fit into its own is a bad one."""
        if REQUEST not in rows.schema.names or not len(rows):
            return Requests(rows, np.arange(len(rows)))
        group_N = _groups(rows, [TIME, USER, REQUEST])
        first_N = np.unique(group_N, return_index=True)[1][group_N]  # of each row's request
        good_N = self._without_other_surfaces(rows, first_N)
        order_N = np.argsort(first_N, kind="stable")
        order_N = order_N[good_N[order_N]]
        rank_N = _ranks(first_N[order_N])
        for place in order_N[rank_N >= MAX_ITEMS].tolist():
            fault = Fault(f"more than {MAX_ITEMS} items in one request")
            self._refuse(rows, place, self._item_column, fault)
        order_N, rank_N = order_N[rank_N < MAX_ITEMS], rank_N[rank_N < MAX_ITEMS]
        if POSITION in rows.schema.names:
            position_N = _numpy(rows, POSITION)[order_N]
            order_N = order_N[np.lexsort((rank_N, position_N, first_N[order_N]))]
            told = rows.take(pa.array(order_N))
        else:
            told = _replaced(rows.take(pa.array(order_N)), POSITION, rank_N.astype(np.int32))
        return Requests(told, np.flatnonzero(np.diff(first_N[order_N], prepend=-1)))

    def _refuse_repeated(
        self, rows: pa.RecordBatch, place_M: Indices, group_M: Indices, came_M: NDArray[np.uint8]
    ) -> int:
        """Counts impressions of which another row tells the same as bad rows; returns how many."""
        if not self._part.tells_impressions or self._part.distinct is not None:
            return 0
        told_M = group_M * (EVERY_ACTION + 1) + came_M
        is_repeated_M = np.ones(len(told_M), np.bool_)
        is_repeated_M[np.unique(told_M, return_index=True)[1]] = False
        if IS_SHOWN in rows.schema.names:
            is_repeated_M &= _numpy(rows, IS_SHOWN)[place_M]
        repeated = place_M[is_repeated_M].tolist()
        begun = [name for name in (TIME, USER, REQUEST) if name in rows.schema.names]
        for place in repeated[:MAX_EXAMPLES]:
            keys = begun if REQUEST in begun else [*begun, ITEM]
            is_its = np.logical_and.reduce(
                [
                    pc.equal(rows.column(name), rows.column(name)[place]).to_numpy(False)
                    for name in keys
                ]
            )
            line = rows.column(LINE)[int(np.argmax(is_its))]
            item = rows.column(ITEM)[place].as_py()
            reason = f"{item!r} is already in the request that starts on line {line}"
            self._refuse(rows, place, self._item_column, Fault(REPEATED, reason))
        files = _numpy(rows, FILE)[repeated[MAX_EXAMPLES:]]
        for number, count in zip(*np.unique(files, return_counts=True), strict=True):
            file = self._files[int(number)]
            self._tally.bad.add_unseen(file, self._item_column, REPEATED, int(count))
        return len(repeated)

    def _chosen(self, came_M: NDArray[np.uint8], group_M: Indices) -> Indices:
        """[G]: the row of each group that tells what only one can tell."""
        place_M = np.arange(len(group_M))
        rank_M = {"first": place_M, "last": -place_M}.get(
            self._part.distinct or "", -STRENGTH[came_M]
        )
        best_M = np.lexsort((place_M, rank_M, group_M))
        return best_M[np.flatnonzero(np.diff(group_M[best_M], prepend=-1))]

    def _without_other_surfaces(self, rows: pa.RecordBatch, first_N: Indices) -> NDArray[np.bool_]:
        """[N]: whether a row has the surface of the first of its request."""
        if SURFACE not in rows.schema.names:
            return np.ones(len(rows), np.bool_)
        surface, line = rows.column(SURFACE), rows.column(LINE)
        code_N = surface.dictionary_encode().indices.to_numpy()
        is_same_N: NDArray[np.bool_] = code_N == code_N[first_N]
        for place in np.flatnonzero(~is_same_N).tolist():
            first = int(first_N[place])
            begun = f"the request starts with {surface[first].as_py()!r} on line {line[first]}"
            kind = "another surface than the request starts with"
            fault = Fault(kind, f"{surface[place].as_py()!r}, but {begun}")
            self._refuse(rows, place, self._part.surface or SURFACE, fault)
        return is_same_N

    def _refuse(self, rows: pa.RecordBatch, place: int, column: str, fault: Fault) -> None:
        file = self._files[rows.column(FILE)[place].as_py()]
        self._tally.bad.add(file, rows.column(LINE)[place].as_py(), column, fault)


def _alike(rows: pa.RecordBatch, keys: Sequence[str]) -> tuple[Indices, Indices]:
    """[M]: the rows that are like another in all these columns, time first, and their groups.

    Most rows are like none: column by column fewer are left.
    """
    is_same_N = np.diff(_numpy(rows, keys[0])) == 0
    place_M = np.flatnonzero(np.append(is_same_N, False) | np.append(False, is_same_N))
    group_M = np.cumsum(np.append(True, ~is_same_N))[place_M]
    for name in keys[1:]:
        codes = rows.column(name).take(pa.array(place_M)).dictionary_encode()
        code_M = codes.indices.to_numpy().astype(np.int64)
        code_M += group_M * len(codes.dictionary)
        _, group_M, num_G = np.unique(code_M, return_inverse=True, return_counts=True)
        is_like_M = num_G[group_M] > 1
        place_M, group_M = place_M[is_like_M], group_M[is_like_M]
    return place_M, np.unique(group_M, return_inverse=True)[1]


def _groups(rows: pa.RecordBatch, keys: Sequence[str]) -> Indices:
    """[N]: a number of each row's group, the same where all these columns are."""
    group_N = np.zeros(len(rows), np.int64)
    for name in keys:
        codes = rows.column(name).dictionary_encode()
        code_N = codes.indices.to_numpy().astype(np.int64)
        _, group_N = np.unique(group_N * len(codes.dictionary) + code_N, return_inverse=True)
    return group_N


def _sums(amount_M: NDArray[np.float64], start_G: Indices) -> NDArray[np.float64]:
    """The sums of groups of amounts; of none there is none."""
    is_none_M = np.isnan(amount_M)
    sum_G = np.add.reduceat(np.where(is_none_M, 0.0, amount_M), start_G)
    return np.where(np.logical_and.reduceat(is_none_M, start_G), np.nan, sum_G)


def _ranks(first_N: Indices) -> Indices:
    """[N]: the place of each row in its group; rows of a group stand together."""
    start_G = np.flatnonzero(np.diff(first_N, prepend=-1))
    size_G = np.diff(start_G, append=len(first_N))
    return np.arange(len(first_N)) - np.repeat(start_G, size_G)


def _numpy(rows: pa.RecordBatch, name: str) -> NDArray[Any]:
    values: NDArray[Any] = rows.column(name).to_numpy(zero_copy_only=False)
    return values


def _replaced(rows: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    column = pa.array(values)
    if name not in rows.schema.names:
        return rows.append_column(name, column)
    return rows.set_column(rows.schema.get_field_index(name), name, column)
