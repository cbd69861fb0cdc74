"""The snapshot that a request of an evaluation reads: the stream's merged states by catalogue row.

A catalogue that is made of a dataset has its n-th item in row n, and so has the merged state, which
begins to count at 0; its index -1 is nobody's, as row 0 is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.content_index import ContentIndex
from headrace.catalogue.table.table import ItemTable
from headrace.evaluation.slates.learner import WalkedModel
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.asked import Groups
from headrace.features.aggregation.facts import Ints
from headrace.features.companions import COMPANIONS
from headrace.features.rows.groups import groups_of_items
from headrace.features.rows.merged import MergedState
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.model.factor_vectors import FactorVectors
from headrace.model.tower_vectors import TowerVectors
from headrace.pipeline.sessions import SessionMemory


@dataclass(frozen=True, slots=True)
class ItemStatesByRow:
    """The states of items by catalogue row."""

    merged: MergedState

    def take(self, row_N: Ints) -> State:
        """[N]: the states of these rows."""
        return self.merged.items.states(row_N - 1)


@dataclass(frozen=True, slots=True)
class CompanionsByRow:
    """The companions of items by catalogue row."""

    merged: MergedState
    item_ids: Sequence[str]  # by row

    def take(self, row_N: Ints) -> State:
        """[N]: the states of these rows."""
        table = self.merged.tables[COMPANIONS]
        return table.states(table.find([self.item_ids[row] for row in row_N.tolist()]))


@dataclass(frozen=True, slots=True)
class GroupsOfRows:
    """The states of categories and authors by the catalogue rows of their items."""

    merged: MergedState

    def of_items(self, catalogue: ItemTable, row_C: Ints) -> Groups | None:
        """The groups of the items in these rows; None where nothing reads them."""
        return groups_of_items(self.merged, row_C - 1)


@dataclass(frozen=True, slots=True)
class WalkedSnapshot:
    """Model and states of one moment of a log."""

    model: WalkedModel | None
    states: ItemStatesByRow
    trending_rows: Ints
    companions: CompanionsByRow
    sessions: SessionMemory
    groups: GroupsOfRows
    content: ContentIndex | None
    fresh_rows: Ints

    @property
    def factors(self) -> FactorVectors | None:
        """The item factors of the model."""
        return self.model.factors if self.model else None

    @property
    def towers(self) -> TowerVectors | None:
        """The two towers of the model."""
        return self.model.towers if self.model else None

    @property
    def surface_trends(self) -> Mapping[int, State]:
        """The items that are clicked on each surface, by the byte of the surface."""
        table = self.groups.merged.tables[SURFACE_TRENDS]
        ids = table.all_ids()
        states = table.states(table.find(ids))
        return {int(name): states[place : place + 1] for place, name in enumerate(ids)}

    def vectors(self, name: str, row_N: Ints) -> NDArray[np.float32] | None:
        """[N, D]: the ranker's "content" or "factors" of the items in these rows."""
        return self.model.items.vectors(name, row_N) if self.model else None
