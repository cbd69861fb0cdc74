"""Items that may not be shown now are in no slate, each with its reason."""

from __future__ import annotations

import numpy as np
import pytest
from request_path import NOW_MS, request

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context, User, age_of
from headrace.pipeline.filters.availability import (
    NotAvailable,
    OutOfStock,
    TooAdult,
    num_unavailable,
)
from headrace.pipeline.shortfall import shortfall
from headrace.pipeline.stage import Rules

TABLE = table_of(
    [
        Item("plain"),
        Item("sold out", stock=0),
        Item("one left", stock=1),
        Item("soon", available_from_ms=NOW_MS + 1),
        Item("now", available_from_ms=NOW_MS, available_until_ms=NOW_MS + 1),
        Item("over", available_until_ms=NOW_MS),
        Item("for adults", min_age=18),
        Item("for all", min_age=0),
    ]
)
ROWS = np.arange(1, 9)


def filtered(age: int) -> Context:
    candidates = Candidates.of("trending", ROWS)
    context = request(ROWS.tolist(), catalogue=TABLE, candidates=candidates, user=User(age=age))
    Rules(OutOfStock(), NotAvailable(), TooAdult())(context)
    return context


@pytest.mark.parametrize(("age", "adult"), [(0, False), (17, False), (18, True)])
def test_each_is_removed_for_its_reason(age: int, adult: bool) -> None:
    context = filtered(age)
    left = {TABLE.item(row).item_id for row in context.candidates.row_C.tolist()}
    assert left == {"plain", "one left", "now", "for all", *(["for adults"] if adult else [])}
    reasons = {TABLE.item(row).item_id: context.candidates.reason_of(row) for row in ROWS.tolist()}
    assert {name: reason for name, reason in reasons.items() if reason} == {
        "sold out": "out_of_stock",
        "soon": "not_available",
        "over": "not_available",
        **({} if adult else {"for adults": "age"}),
    }
    assert num_unavailable(context) == 8 - len(left)


def test_a_slate_that_is_short_says_why() -> None:
    context = filtered(0)
    context.num_items = 100
    assert shortfall(context) == ("all_out_of_stock", "all_not_available", "all_age")


@pytest.mark.parametrize(
    ("attributes", "age"),
    [
        ((), 0),
        (("age=31", "country=NL"), 31),
        (("age=25-34",), 25),
        (("aged=9",), 0),
        (("age=old",), 0),
        (("age=",), 0),
    ],
)
def test_the_age_of_a_user_is_an_attribute(attributes: tuple[str, ...], age: int) -> None:
    assert age_of(attributes) == age
