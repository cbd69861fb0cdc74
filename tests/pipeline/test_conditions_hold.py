"""Conditions over columns say of each item what its own fields say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from request_path import request

from headrace.application.condition import (
    Condition,
    Either,
    Every,
    HasWord,
    InRange,
    IsItem,
    Not,
    OnSurface,
    Reader,
)
from headrace.application.sections import Application
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.filters.conditions import Columns, Filtered, compiled
from headrace.pipeline.filters.declared import allowed
from headrace.pipeline.stage import Rules

MANY = tuple(f"c{n}" for n in range(20))  # more than the columns hold
ITEMS = (
    Item("i1", categories=("tea",), attributes=("brand=acme",), price_micros=5_000_000, stock=3),
    Item("i2", categories=("tea", "mugs"), attributes=("brand=best", "new"), min_age=18),
    Item("i3", price_micros=20_000_000, stock=0),
    Item("i4", categories=MANY, attributes=tuple(f"a{n}=1" for n in range(15)) + ("brand=acme",)),
    Item("i5", categories=("mugs",), attributes=("brand=acme", "brand=best"), price_micros=0),
)
TABLE = table_of(ITEMS)
ROWS = np.arange(1, 6)


def holds(condition: Condition, item: Item, surface: str) -> bool:
    """The same by one item's fields."""
    match condition:
        case HasWord(field, words):
            return not set(words).isdisjoint(getattr(item, field))
        case IsItem(ids):
            return item.item_id in ids
        case OnSurface(surfaces):
            return surface in surfaces
        case Not(of):
            return not holds(of, item, surface)
        case Every(of):
            return all(holds(one, item, surface) for one in of)
        case Either(of):
            return any(holds(one, item, surface) for one in of)
        case InRange():
            price = None if item.price_micros is None else item.price_micros / 1e6
            numbers = {"price": price, "stock": item.stock, "min_age": item.min_age}
            number = numbers[condition.number]
            return number is not None and (
                condition.at_least <= number <= condition.at_most
                and condition.above < number < condition.below
            )


LEAVES = st.one_of(
    st.sampled_from(["tea", "mugs", "c3", "c19", "none"]).map(lambda one: {"category": one}),
    st.lists(st.sampled_from(["acme", "best"]), min_size=1, max_size=2).map(
        lambda some: {"brand": some}
    ),
    st.sampled_from([{"new": ""}, {"a14": 1}, {"item": ["i1", "i9"]}, {"surface": "home"}]),
    st.tuples(
        st.sampled_from(["price", "stock", "min_age"]),
        st.sampled_from(["at_least", "above", "at_most", "below"]),
        st.sampled_from([0, 3, 5, 18, 20.5]),
    ).map(lambda told: {told[0]: {told[1]: told[2]}}),
)
WRITTEN = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"any": some}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"all": some}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=6,
)


@given(WRITTEN, st.sampled_from(["home", "search"]))
def test_columns_say_what_the_items_say(written: Any, surface: str) -> None:
    reader = Reader()
    condition = reader.condition(written, "filters")
    context = request(catalogue=TABLE, surface=surface)
    found = compiled(condition)(Columns(context, ROWS)).tolist()
    assert reader.problems in ([], [("filters", "got more than 8 conditions in each other")])
    if not reader.problems:
        assert found == [holds(condition, item, surface) for item in ITEMS]


def left(application: Application, **asked: Any) -> tuple[list[int], dict[int, str | None]]:
    context = request(catalogue=TABLE, candidates=Candidates.of("trending", ROWS), **asked)
    Rules(*allowed(application), Filtered())(context)
    rows = context.candidates.row_C.tolist()
    return rows, {row: context.candidates.reason_of(row) for row in {*ROWS.tolist()} - {*rows}}


@pytest.mark.parametrize("wanted", [None, HasWord("categories", ("tea",))])
def test_each_filter_is_the_reason_of_what_it_removes(wanted: Condition | None) -> None:
    application = Application(
        filters={"priced": InRange("price", at_least=0), "no_acme": Not(IsItem(("i1",)))},
        blocked=HasWord("categories", ("c19",)),
    )
    rows, reasons = left(application, condition=wanted)
    assert rows == ([5] if wanted is None else [])
    told = {3: "out_of_stock", 4: "blocked", 2: "age", 1: "no_acme"}
    assert reasons == told | ({} if wanted is None else {5: "filtered"})
