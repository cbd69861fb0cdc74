"""The sources of lists: what editors name, and new items that were shown seldom."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from request_path import Trends, request

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.features.aggregation.facts import Ints
from headrace.features.table import ITEM_LAYOUT
from headrace.retrieval.editorial import Editorial
from headrace.retrieval.fresh import source
from headrace.slates.fresh import ENOUGH, MOST, Fresh
from serving.replica.state_pages import StatePages

NOW_MS = 1_714_554_000_000
SHOWN = next(name for name in ITEM_LAYOUT.field_of.values() if name == "item_impressions_log")


def test_editorial_proposes_the_listed_items_in_their_order_each_once() -> None:
    editorial = Editorial(["i4", "gone", "i1", "i4", "i9"])
    assert editorial.candidates(request(), 10).tolist() == [4, 1, 9]
    assert editorial.candidates(request(), 2).tolist() == [4, 1]


@dataclass
class Shelf:
    """Items, how often each was shown, and the list of the fresh ones."""

    num: int
    table: ItemTable = field(init=False)

    def __post_init__(self) -> None:
        self.table = table_of(Item(f"i{n}") for n in range(1, self.num + 1))
        self.pages, self.fresh = StatePages(ITEM_LAYOUT, self.num + 1), Fresh(self.table)

    def show(self, row_U: Ints, times: int = 1) -> None:
        """Show these items so often."""
        state_U = self.pages.states.take(row_U).copy()
        state_U[SHOWN][:, 0] += times
        self.pages.put(row_U, state_U)
        self.fresh.take(row_U, self.pages.states)

    def proposed(self, limit: int) -> Ints:
        """The rows that the source proposes."""
        snapshot = Fixed(np.zeros(0, np.int64), fresh_rows=self.fresh.rows)
        return source().candidates(request(snapshot=snapshot), limit)


@dataclass(frozen=True)
class Fixed(Trends):
    """A snapshot with these fresh items."""

    fresh_rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


def test_each_new_item_gets_as_many_impressions_as_any_other_and_then_no_more() -> None:
    shelf = Shelf(30)
    shelf.show(np.arange(1, 31), ENOUGH - 3)
    for _ in range(30 * 3 // 5):
        shelf.show(shelf.proposed(5))
        shown_N = shelf.pages.states.take(np.arange(1, 31))[SHOWN][:, 0]
        assert shown_N.max() - shown_N.min() <= 1
    assert not len(shelf.proposed(5)) and (shown_N == ENOUGH).all()


def test_items_that_come_are_first_and_those_that_go_are_not_in_it() -> None:
    shelf = Shelf(10)
    shelf.show(np.arange(1, 11), 5)
    new = shelf.table.put([Item("new")], NOW_MS)
    shelf.fresh.arrive(new, shelf.pages.states)
    assert shelf.proposed(3).tolist() == [*new, 10, 9]
    shelf.table.remove(["i10"], NOW_MS)
    shelf.fresh.drop_removed()
    assert shelf.proposed(3).tolist() == [*new, 9, 8]


def test_it_is_bounded_and_the_newest_stay() -> None:
    shelf = Shelf(MOST + 50)
    assert len(shelf.fresh.rows) == MOST and shelf.proposed(1).tolist() == [MOST + 50]
