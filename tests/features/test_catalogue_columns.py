"""Catalogue columns: keys, slots and groups of the items that were met."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.catalogue.item import Item
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.item_columns import (
    MAX_GROUPS,
    MAX_SLOTS,
    CatalogueColumns,
    groups_of,
    padded_slots,
)
from headrace.features.table import SLOTS
from headrace.keys import category_slots, key

MANY = tuple(f"tag {number}" for number in range(40))


class Groups:
    """Numbers groups in the order in which they come."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, names: Sequence[str]) -> Ints:
        self.names += [name for name in names if name not in self.names]
        return np.array([self.names.index(name) for name in names], np.int64)


def catalogue(*items: Item) -> tuple[CatalogueColumns, Groups]:
    groups = Groups()
    return CatalogueColumns({item.item_id: item for item in items}.get, groups), groups


def unpadded(row: Ints) -> list[int]:
    """The numbers of a row; the padding must come last."""
    num = int((row >= 0).sum())
    assert row.tolist() == [*row[:num].tolist(), *[-1] * (len(row) - num)]
    return row[:num].tolist()


def test_an_item_has_its_key_its_slots_and_its_groups() -> None:
    mug = Item("mug", categories=("kitchen", "gifts"), attributes=("author=Ann", "size=L"))
    columns, groups = catalogue(Item("pen", categories=("gifts",)), mug)
    columns.meet([0, 1], ["pen", "mug"])
    number_N = np.array([1, 0, 1])
    assert columns.keys(number_N).tolist() == [key("mug"), key("pen"), key("mug")]
    slots_NS, groups_NG = columns.slots(number_N), columns.groups(number_N)
    assert slots_NS.shape == (3, MAX_SLOTS) and groups_NG.shape == (3, MAX_GROUPS)
    assert unpadded(slots_NS[0]) == list(category_slots(mug.categories, SLOTS.num_slots))
    names = [[groups.names[number] for number in unpadded(row)] for row in groups_NG]
    assert names == [["author=Ann", "kitchen", "gifts"], ["gifts"], names[0]]


def test_an_item_that_the_catalogue_does_not_know_has_a_key_only() -> None:
    columns, _ = catalogue()
    columns.meet([0], ["mug"])
    number_1 = np.array([0])
    assert columns.keys(number_1).tolist() == [key("mug")]
    assert not unpadded(columns.slots(number_1)[0]) and not unpadded(columns.groups(number_1)[0])


def test_items_met_earlier_stay_as_they_are_while_more_come() -> None:
    columns, groups = catalogue(*(Item(f"i{n}", categories=(f"c{n % 7}",)) for n in range(3_000)))
    ids: list[str] = []
    for until in (1, 1, 900, 1_025, 3_000):
        more = range(len(ids), until)
        columns.meet(more, [f"i{number}" for number in more])
        ids += [f"i{number}" for number in more]
    number_N = np.arange(3_000)
    assert columns.keys(number_N).tolist() == [key(id_) for id_ in ids]
    assert [groups.names[n] for n in columns.groups(number_N)[:, 0]] == [
        f"c{number % 7}" for number in range(3_000)
    ]


def test_of_many_categories_the_first_slots_and_groups_are_kept() -> None:
    columns, groups = catalogue(Item("mug", categories=MANY, attributes=("author=Ann",)))
    columns.meet([0], ["mug"])
    number_1 = np.array([0])
    expected = category_slots(MANY, SLOTS.num_slots)[:MAX_SLOTS]
    assert unpadded(columns.slots(number_1)[0]) == list(expected)
    assert groups.names == ["author=Ann", *MANY[: MAX_GROUPS - 1]]


def test_slots_and_groups_are_distinct() -> None:
    item = Item("mug", categories=("a", "a", "author=Ann"), attributes=("author=Ann", "colour=red"))
    assert groups_of(item) == ("author=Ann", "a")
    slots_NS = padded_slots([("a", "a", "b"), (), ("b",)])
    assert [unpadded(row) for row in slots_NS] == [
        sorted({key("a") % SLOTS.num_slots, key("b") % SLOTS.num_slots}),
        [],
        [key("b") % SLOTS.num_slots],
    ]
    assert padded_slots([]).shape == (0, MAX_SLOTS)
