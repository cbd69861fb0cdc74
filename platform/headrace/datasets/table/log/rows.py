"""Rows of the log: cells of the user's columns in, rows in columns of ours out.

A row with a cell that cannot be used is left to the bad rows; the others go on, a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.action import AVERSIONS, BIT, CLICK, PAID
from headrace.datasets.table.files.chunk import Chunk
from headrace.datasets.table.files.joins import Joins
from headrace.datasets.table.files.open import TableFile
from headrace.datasets.table.log import several
from headrace.datasets.table.log.fields import (
    AMOUNT,
    BACK,
    CAME,
    FILE,
    IS_SHOWN,
    KIND,
    LEFT_OUT,
    LINE,
    OF_SHOWN,
    QUANTITY,
    VALUE,
    Field,
    fields,
    filtered,
    refuse,
)
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import EventColumns, columns

Values = dict[str, Any]  # columns by name: texts in Arrow, everything else in numpy


def rows(
    files: Sequence[TableFile], part: EventColumns, joins: Joins, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """The rows of these files in our columns, file by file."""
    wanted = joins.sources([column for _, column in columns(part)])
    ours = list(fields(part))
    for number, file in enumerate(files):
        for chunk in tally.chunks(file, wanted):
            values = _values(joins.joined(chunk), ours, part, file.name, tally)
            values[FILE] = np.full(len(values[LINE]), number, np.int32)
            if len(values[LINE]):
                yield pa.record_batch(values)


def _values(
    chunk: Chunk, ours: Sequence[Field], part: EventColumns, file: str, tally: Tally
) -> Values:
    parsed = [(field, field.parse(chunk.columns)) for field in ours]
    told = [(field.column, column) for field, column in parsed]
    good_N = refuse(told, chunk.line_N, file, tally.bad)
    values: Values = {LINE: chunk.line_N[good_N]}
    bits: list[tuple[int, NDArray[np.bool_]]] = []
    for field, column in parsed:
        kept = filtered(column.value_N, good_N)
        if field.bit:
            bits.append((field.bit, kept))
        else:
            values[field.name] = kept
    if part.item_ids is not None:
        cells = chunk.columns[part.item_ids.column].filter(pa.array(good_N))
        values, clicked_N = several.exploded(values, cells, part, file, tally)
        bits += [] if clicked_N is None else [(BIT[CLICK], clicked_N)]
    return _with_outcomes(values, bits, part, tally)


def _with_outcomes(
    values: Values,
    bits: Sequence[tuple[int, NDArray[np.bool_]]],
    part: EventColumns,
    tally: Tally,
) -> Values:
    """The values with the actions that came of each row, and grades and amounts of these only."""
    num = len(values[LINE])
    came_N = np.zeros(num, np.uint8)
    for bit, is_so_N in bits:
        came_N |= np.where(is_so_N, np.uint8(bit), np.uint8(0))
    if part.action is not None:
        came_N, values = _of_kinds(values, part, tally)
    elif not bits:
        came_N |= np.uint8(BIT[CLICK])
    elif BIT[CLICK] not in dict(bits):  # nobody did what was not chosen
        came_N |= np.where(came_N & ~AVERSIONS & 0xFF, np.uint8(BIT[CLICK]), np.uint8(0))
    values[CAME] = came_N
    if VALUE in values:  # the event says it all the same; without an outcome nobody reads it
        tally.values_without_outcome += int(((values[VALUE] != 0) & (came_N == 0)).sum())
    if AMOUNT in values:
        is_paid_N, quantity_N = (came_N & PAID) != 0, values.pop(QUANTITY, 1.0)
        values[BACK] = is_paid_N & ((values[AMOUNT] < 0) | (quantity_N < 0))
        values[AMOUNT] = np.where(is_paid_N, np.rint(values[AMOUNT] * quantity_N), np.nan)
    return values


def _of_kinds(values: Values, part: EventColumns, tally: Tally) -> tuple[NDArray[np.uint8], Values]:
    """The actions by the kind of each row; rows of kinds that are left out are gone."""
    kind_N = values.pop(KIND, None)
    if kind_N is None:
        bit = BIT[(part.action and part.action.always) or CLICK]
        return np.full(len(values[LINE]), bit, np.uint8), values
    is_event_N = kind_N != LEFT_OUT
    tally.num_idle += int((~is_event_N).sum())
    kept = {name: filtered(column, is_event_N) for name, column in values.items()}
    kind_N = kind_N[is_event_N]
    is_shown_N = kind_N == OF_SHOWN
    if part.action is not None and part.action.has_shown:
        kept[IS_SHOWN] = is_shown_N
    return np.where(is_shown_N, 0, kind_N).astype(np.uint8), kept
