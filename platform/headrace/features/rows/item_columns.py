"""Catalogue columns: keys, category slots and groups of items, by index in the item table.

R items met, by their index in the item table   N items asked for
S category slots, G groups (categories and authors) of an item, padded with -1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.numbers import attribute_numbers
from headrace.features.aggregation.asked import AskedItems
from headrace.features.aggregation.facts import Ints
from headrace.features.table import SLOTS
from headrace.keys import category_slots, key

MAX_SLOTS: Final = 8
MAX_GROUPS: Final = 8
AUTHOR: Final = "author="

ItemOf = Callable[[str], Item | None]


class CatalogueColumns:
    """Keys, category slots and groups of items, by index; `index_groups` gives groups indexes."""

    def __init__(self, item_of: ItemOf, index_groups: Callable[[Sequence[str]], Ints]) -> None:
        self._item_of, self._index_groups = item_of, index_groups
        # The last ones are nobody's: index -1 reads them.
        self._key_R = np.zeros(1, dtype=np.int64)
        self._slot_RS = np.full((1, MAX_SLOTS), -1, dtype=np.int8)
        self._group_RG = np.full((1, MAX_GROUPS), -1, dtype=np.int32)
        self._number_RA = attribute_numbers([Item("")])
        self._num_authors_R = np.zeros(1, dtype=np.int8)

    def meet(self, indexes: Sequence[int], ids: Sequence[str]) -> None:
        """Take in that these items have these indexes now."""
        if not ids:
            return
        beyond = max(indexes) + 2 - len(self._key_R)
        if beyond > 0:
            capacity = len(self._key_R) + max(beyond, len(self._key_R) // 4, 1_024)
            self._key_R = _grown(self._key_R, capacity)
            self._slot_RS = _grown(self._slot_RS, capacity)
            self._group_RG = _grown(self._group_RG, capacity)
            self._number_RA = _grown(self._number_RA, capacity)
            self._num_authors_R = _grown(self._num_authors_R, capacity)
        new, place = [self._item_of(item_id) or Item(item_id) for item_id in ids], list(indexes)
        self._key_R[place] = [key(item.item_id) for item in new]
        self._slot_RS[place] = padded_slots([item.categories for item in new])
        self._number_RA[place] = attribute_numbers(new)
        self._num_authors_R[place] = [sum(map(is_author, i.attributes)) for i in new]
        groups = [groups_of(item)[:MAX_GROUPS] for item in new]
        group_indexes = self._index_groups([name for names in groups for name in names])
        self._group_RG[place] = _padded(group_indexes, list(map(len, groups)), MAX_GROUPS)

    def keys(self, index_N: Ints) -> Ints:
        """[N]: the items' keys."""
        return self._key_R[index_N]

    def slots(self, index_N: Ints) -> Ints:
        """[N, S]: the items' category slots."""
        return self._slot_RS[index_N].astype(np.int64)

    def asked(self, index_N: Ints, request_N: Ints) -> AskedItems:
        """The items as candidates of these requests."""
        return AskedItems(request_N, self.slots(index_N), self._number_RA[index_N])

    def groups(self, index_N: Ints) -> Ints:
        """[N, G]: the indexes of the items' groups."""
        return self._group_RG[index_N].astype(np.int64)

    def are_authors(self, index_N: Ints) -> NDArray[np.bool_]:
        """[N, G]: which of the items' groups are authors: those come first."""
        are_NG: NDArray[np.bool_] = np.arange(MAX_GROUPS) < self._num_authors_R[index_N, None]
        return are_NG


def groups_of(item: Item) -> tuple[str, ...]:
    """The categories of an item and its author, which have features of their own."""
    authors = filter(is_author, item.attributes)
    return tuple(dict.fromkeys((*authors, *item.categories)))


def is_author(attribute: str) -> bool:
    """Whether an attribute of an item names its author."""
    return attribute.startswith(AUTHOR)


def padded_slots(categories: Sequence[tuple[str, ...]]) -> Ints:
    """[N, S]: the slots of these items' categories, the first `MAX_SLOTS` of each."""
    slots = [category_slots(names, SLOTS.num_slots)[:MAX_SLOTS] for names in categories]
    flat = np.array([slot for of_item in slots for slot in of_item], np.int64)
    return _padded(flat, list(map(len, slots)), MAX_SLOTS)


def _padded(flat: Ints, lengths: Sequence[int], width: int) -> Ints:
    """[len(lengths), width]: lists that lie one after the other in `flat`, padded with -1."""
    padded_NW = np.full((len(lengths), width), -1, np.int64)
    padded_NW[np.arange(width) < np.array(lengths, np.int64)[:, None]] = flat
    return padded_NW


def _grown(column: NDArray[Any], capacity: int) -> NDArray[Any]:
    nothing = np.nan if column.dtype.kind == "f" else -1
    grown = np.full((capacity, *column.shape[1:]), nothing, dtype=column.dtype)
    grown[: len(column)] = column
    return grown
