"""Several items in one cell, as a row for each: "N1-0 N2-1" shows two, and what came of them."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.datasets.table.bad_rows import Fault
from headrace.datasets.table.cells import column as cells_of
from headrace.datasets.table.cells.column import FINE, Parsed, readable
from headrace.datasets.table.keys.values import ItemIds
from headrace.datasets.table.log.fields import ITEM, LINE, REQUEST, filtered, refuse
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import EventColumns


def exploded(
    values: dict[str, Any], cells: pa.Array, part: EventColumns, file: str, tally: Tally
) -> tuple[dict[str, Any], NDArray[np.bool_] | None]:
    """The values of each row for each of its items, and whether each was clicked, if that is told.

    Where nothing else names the request, the items of a cell are one.
    """
    given = part.item_ids
    assert given is not None
    if part.tells_impressions and part.request_id is None:
        values[REQUEST] = cells_of.each(readable(cells), _digest, str).value_N
    parent_N, texts = _items(cells, given)
    has_none_M = np.bincount(parent_N, minlength=len(cells)) == 0
    if has_none_M.any():
        line_M = values[LINE][has_none_M]
        none = [Fault("missing")]
        tally.bad.add_many(file, given.column, none, np.zeros(len(line_M), np.int32), line_M)
    taken = pa.array(parent_N)
    spread = {
        name: column.take(taken) if isinstance(column, pa.Array) else column[parent_N]
        for name, column in values.items()
    }
    clicked = None
    if given.outcome_separator is not None:
        texts, clicked = _told(texts, given.outcome_separator)
    items = cells_of.ids(texts)
    parsed = [(given.column, one) for one in (clicked, items) if one is not None]
    good_N = refuse(parsed, spread[LINE], file, tally.bad)
    spread[ITEM] = items.value_N
    kept = {name: filtered(column, good_N) for name, column in spread.items()}
    return kept, None if clicked is None else clicked.value_N[good_N]


def _items(cells: pa.Array, given: ItemIds) -> tuple[NDArray[np.int64], pa.Array]:
    """The row of each item, and its text; what is blank is none."""
    cells = readable(cells)
    lists = pc.split_pattern(cells, given.separator) if pa.types.is_string(cells.type) else cells
    parent_N = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    texts = readable(pc.list_flatten(lists))
    if pa.types.is_string(texts.type):
        texts = pc.utf8_trim_whitespace(texts)
        has_text = pc.fill_null(pc.not_equal(texts, ""), False)
        return parent_N[has_text.to_numpy(zero_copy_only=False)], texts.filter(has_text)
    return parent_N, texts


def _told(texts: pa.Array, separator: str) -> tuple[pa.Array, Parsed]:
    """The items, and what is said of each behind its last separator."""
    mark = re.escape(separator)
    parts = pc.extract_regex(texts.cast(pa.string()), rf"(?s)^(?P<item>.*){mark}(?P<came>.*?)$")
    clicked = cells_of.booleans(pc.struct_field(parts, "came"))
    if clicked.faults:
        kind = f"expected an item, {separator!r} and whether it was clicked"
        clicked = clicked._replace(faults=[Fault(kind)] * len(clicked.faults))
    items = pc.if_else(
        pa.array(clicked.fault_N == FINE), pc.struct_field(parts, "item"), texts.cast(pa.string())
    )
    return items, clicked


def _digest(cell: Any) -> str:
    return hashlib.blake2b(str(cell).encode(), digest_size=16).hexdigest()
