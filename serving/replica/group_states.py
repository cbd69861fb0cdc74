"""Group states of a replica: the states of categories and authors, as far as crosses read them.

C candidates   G groups of each, its authors and then its categories   U groups that are known
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from headrace.catalogue.table.columns import WORD_FIELDS
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.asked import Groups
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.item_columns import MAX_GROUPS, is_author
from headrace.features.rows.messages.merged_rows import NewRows
from headrace.features.table import CATEGORY_LAYOUT, GROUP_LAYOUT, HAS_GROUPS
from headrace.keys import key

AUTHORS: Final = WORD_FIELDS.index("attributes")
CATEGORIES: Final = WORD_FIELDS.index("categories")


@dataclass(frozen=True, slots=True)
class GroupStates:
    """The states of all groups by the keys that they have among the words of items."""

    key_U: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # ascending
    state_U: State = field(default_factory=lambda: GROUP_LAYOUT.new(0))

    def with_rows(self, new: NewRows) -> GroupStates:
        """These states with newer ones, and without those that are gone."""
        key_K = np.array([_key(name) for name in new.ids], np.int64)
        gone_K = np.array([_key(name) for name in new.gone], np.int64)
        kept_U = ~np.isin(self.key_U, np.concatenate([key_K, gone_K]))
        state_K = GROUP_LAYOUT.part_of(new.rows["state"], CATEGORY_LAYOUT)
        every_X = np.concatenate([self.key_U[kept_U], key_K])
        states_X = np.concatenate([self.state_U[kept_U], state_K])
        order_X = np.argsort(every_X)
        return GroupStates(every_X[order_X], states_X[order_X])

    def of_items(self, catalogue: ItemTable, row_C: Ints) -> Groups | None:
        """The groups of the items in these rows; None where nothing reads them."""
        if not HAS_GROUPS or not len(self.key_U):
            return None
        word_CML = catalogue.words(row_C)
        key_CG = np.concatenate([word_CML[:, AUTHORS], word_CML[:, CATEGORIES]], axis=1)
        place_CG = np.minimum(np.searchsorted(self.key_U, key_CG), len(self.key_U) - 1)
        found_CG = (self.key_U[place_CG] == key_CG) & (key_CG != 0)
        are_authors_CG = np.arange(key_CG.shape[1]) < word_CML.shape[2]
        are_groups_CG = found_CG | (~are_authors_CG & (key_CG != 0))
        found_CG &= np.cumsum(are_groups_CG, axis=1) <= MAX_GROUPS  # as the stream counts them
        place_CG = np.where(found_CG, place_CG, -1)
        return Groups(self.state_U, place_CG, np.broadcast_to(are_authors_CG, place_CG.shape))


def _key(name: str) -> int:
    """The key of a group's name among the words of items."""
    return key(f"{WORD_FIELDS[AUTHORS if is_author(name) else CATEGORIES]}:{name}")
