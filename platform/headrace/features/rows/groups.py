"""Groups of items: the merged states of their categories and authors, as crosses read them."""

from __future__ import annotations

import numpy as np

from headrace.features.aggregation.asked import Groups
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.merged import MergedState
from headrace.features.table import CATEGORY_LAYOUT, GROUP_LAYOUT, HAS_GROUPS


def groups_of_items(merged: MergedState, index_N: Ints) -> Groups | None:
    """The groups of the items with these indexes, as they are; None where nothing reads them."""
    if not HAS_GROUPS:
        return None
    group_NG = merged.catalogue.groups(index_N)
    distinct_P, place_X = np.unique(group_NG, return_inverse=True)
    place_NG = np.where(group_NG >= 0, place_X.reshape(group_NG.shape), -1)
    state_P = GROUP_LAYOUT.part_of(merged.categories.states(distinct_P), CATEGORY_LAYOUT)
    return Groups(state_P, place_NG, merged.catalogue.are_authors(index_N))
