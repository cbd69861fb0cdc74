"""Item states of a replica: the accumulators of its catalogue's items, as the topic has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from headrace.broker.record import Record
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.companions import COMPANION_LAYOUT, COMPANIONS
from headrace.features.rows.messages.merged_rows import MergedRows, NewRows
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.features.table import CATEGORY, ITEM, ITEM_LAYOUT
from headrace.slates.fresh import Fresh
from headrace.slates.trending import Trending
from serving.replica.group_states import GroupStates
from serving.replica.state_pages import StatePages, States

MAX_APART: Final = 10_000


class ItemStates:
    """States by catalogue row, and the rows that trend; a reading of them does not change.

    The states of the last `MAX_APART` items that have left, or were told of before they came, are
    kept apart: an item's document and its state lie in different topics.

    U rows of a change
    """

    def __init__(self, table: ItemTable, merged_rows: MergedRows, clock: Callable[[], int]) -> None:
        self._table, self._rows, self._clock = table, merged_rows, clock
        self._pages = StatePages(ITEM_LAYOUT, table.num_rows)
        self._companions = StatePages(COMPANION_LAYOUT, table.num_rows)
        self._trending, self._fresh = Trending(table), Fresh(table)
        self._apart: dict[str, State] = {}  # by item id, the newest last
        self.groups = GroupStates()
        self.surface_trends: Mapping[int, State] = {}  # by the byte of the surface

    @property
    def states(self) -> States:
        """The states as they are now."""
        return self._pages.states

    @property
    def companions(self) -> States:
        """The items that each was chosen with, as they are now."""
        return self._companions.states

    @property
    def trending_rows(self) -> Ints:
        """Catalogue rows by the clicks of the recent past, best first."""
        return self._trending.rows

    @property
    def fresh_rows(self) -> Ints:
        """Catalogue rows of new items that were shown seldom, those shown least first."""
        return self._fresh.rows

    def take(self, records: Sequence[Record]) -> bool:
        """Take in records of the items' states; returns whether one of the catalogue changed."""
        every = self._rows.read(records)
        if CATEGORY in every:
            self.groups = self.groups.with_rows(every[CATEGORY])
        if COMPANIONS in every:
            self._take_companions(every[COMPANIONS])
        if SURFACE_TRENDS in every:
            self.surface_trends = _with_surfaces(self.surface_trends, every[SURFACE_TRENDS])
        new, has_others = every.get(ITEM), bool(every.keys() - {ITEM})
        if new is None:
            return has_others
        self._keep_apart(new.gone, None)
        gone_G = self._table.rows_of_ids(new.gone)
        gone_G = gone_G[gone_G != 0]
        if len(gone_G):
            self._pages.clear(gone_G)
        row_U = np.concatenate([self._put(new.ids, new.rows["state"]), gone_G])
        if len(row_U):
            self._trending.take(row_U, self.states, self._clock())
            self._fresh.take(row_U, self.states)
        return len(row_U) > 0 or has_others

    def follow_items(self, put_rows: Ints, removed_rows: Ints) -> None:
        """Take in that the table has other items in these rows, and none in those."""
        gone = np.unique(removed_rows[~self._table.have_items(removed_rows)])
        if len(gone):
            self._keep_apart(self._ids(gone), self.states.take(gone))
            self._pages.clear(gone)
            self._companions.clear(gone)
            self._trending.drop_removed()
            self._fresh.drop_removed()
        if len(put_rows):
            ids = self._ids(put_rows) if self._apart else []
            if came := [item_id for item_id in ids if item_id in self._apart]:
                self._put(came, np.concatenate([self._apart.pop(item_id) for item_id in came]))
            self._trending.arrive(put_rows, self.states, self._clock())
            self._fresh.arrive(put_rows, self.states)

    def _take_companions(self, new: NewRows) -> None:
        """Take in companions of the catalogue's items; those of others are not kept apart."""
        row_N, gone_G = self._table.rows_of_ids(new.ids), self._table.rows_of_ids(new.gone)
        place_U = np.flatnonzero(row_N)
        self._companions.put(row_N[place_U], new.rows["state"][place_U])
        self._companions.clear(gone_G[gone_G != 0])

    def _put(self, item_ids: Sequence[str], state_N: State) -> Ints:
        """[U]: give the rows of these items their states; those that have no row wait apart."""
        row_N = self._table.rows_of_ids(item_ids)
        place_U, place_A = np.flatnonzero(row_N), np.flatnonzero(row_N == 0)
        if len(place_U):
            self._pages.put(row_N[place_U], state_N[place_U])
        self._keep_apart([item_ids[place] for place in place_A.tolist()], state_N[place_A])
        return row_N[place_U]

    def _keep_apart(self, item_ids: Sequence[str], state_N: State | None) -> None:
        for place, item_id in enumerate(item_ids):
            self._apart.pop(item_id, None)
            if state_N is not None:
                self._apart[item_id] = state_N[place : place + 1].copy()
        while len(self._apart) > MAX_APART:
            del self._apart[next(iter(self._apart))]

    def _ids(self, row_N: Ints) -> list[str]:
        return [item.item_id for item in self._table.items(row_N)]


def _with_surfaces(before: Mapping[int, State], new: NewRows) -> Mapping[int, State]:
    """The sketches by the byte of their surface, with these newer ones."""
    state_U, after = new.rows["state"], dict(before)
    for place, name in enumerate(new.ids):
        if name.isdecimal():
            after[int(name)] = state_U[place : place + 1].copy()
    return after
