"""The catalogue of a replica: items as rows, found by key, by id and by category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.catalogue.item import Item
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.item_columns import padded_slots
from headrace.features.table import SLOTS
from headrace.keys import key


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items that can be recommended. Row 0 stands for any item that is not among them.

    I rows of the catalogue
    """

    items: tuple[Item, ...]  # [I]
    row_of_key: dict[int, int]
    row_of_id: dict[str, int]
    slot_IS: Ints  # category slots, padded with -1
    key_I: Ints
    rows_of_slot: tuple[Ints, ...]  # [K] rows that have the category slot


def build_catalogue(items: Sequence[Item]) -> Catalogue:
    """The catalogue of these items, with the unknown item in row 0."""
    rows = (Item(""), *items)
    slot_IS = padded_slots([item.categories for item in rows])
    keys = [0, *(key(item.item_id) for item in items)]
    of_slot = [np.flatnonzero((slot_IS == slot).any(1)) for slot in range(SLOTS.num_slots)]
    return Catalogue(
        items=rows,
        row_of_key={item_key: row for row, item_key in enumerate(keys)},
        row_of_id={item.item_id: row for row, item in enumerate(rows)},
        slot_IS=slot_IS,
        key_I=np.array(keys, dtype=np.int64),
        rows_of_slot=tuple(of_slot),
    )
