"""What a purchase was worth, and how much an item was liked, as a user's own table tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from table_folder import bad, events
from table_folder import load_events as load

from headrace.catalogue.item import Dataset
from headrace.event import ActionEvent, ImpressionEvent

SHOWN = "action: {column: e, values: {view: shown, tap: click, cart: add_to_cart, buy: purchase}}"
PAID = "action: {always: purchase}, money: {column: p, currency: EUR, quantity: q}"


def amounts(dataset: Dataset) -> list[tuple[Any, ...]]:
    return [
        (event.amount_micros, event.currency, event.takes_back)
        for event in dataset.events()
        if isinstance(event, ActionEvent)
    ]


def test_a_purchase_is_worth_its_price_times_the_quantity(tmp_path: Path) -> None:
    rows = ("a,x,1,2.55,6", "a,y,2,0.1,3", "a,x,3,2.55,-6", "a,z,4,,1", "a,z,5,x,1", "a,z,6,0,1")
    dataset = load(tmp_path, PAID, *rows, header="u,i,t,p,q")
    assert amounts(dataset) == [
        (15_300_000, "EUR", False),
        (300_000, "EUR", False),
        (-15_300_000, "EUR", True),
        (None, None, False),
        (0, "EUR", False),
    ]
    assert bad(dataset) == [(5, "p", "expected a number, got 'x'")]
    assert len(events(dataset)) == 5


def test_lines_of_one_order_add_up(tmp_path: Path) -> None:
    rows = ("a,x,1,2.5,1", "a,x,1,2.5,2", "a,x,1,,1", "a,y,1,,1", "a,y,1,,1")
    dataset = load(tmp_path, PAID, *rows, header="u,i,t,p,q")
    assert amounts(dataset) == [(7_500_000, "EUR", False), (None, None, False)]
    assert dataset.counts is not None and dataset.counts.num_merged == 3


def test_what_was_given_back_counts_as_no_purchase_whatever_its_price(tmp_path: Path) -> None:
    rows = ("a,x,1,2.5,2", "a,x,1,2.5,-2", "a,y,2,0,-1", "a,z,3,,-1", "a,x,4,-2,1")
    dataset = load(tmp_path, PAID, *rows, header="u,i,t,p,q")
    assert amounts(dataset) == [
        (5_000_000, "EUR", False),
        (-5_000_000, "EUR", True),
        (0, "EUR", True),
        (None, None, True),
        (-2_000_000, "EUR", True),
    ]
    assert len({event.event_id for event in dataset.events()}) == 5
    assert dataset.counts is not None and dataset.counts.num_positives == 1
    assert dataset.counts.actions["purchase"] == 1


def test_money_has_a_pattern_and_a_currency_of_its_own(tmp_path: Path) -> None:
    keys = (
        "action: {column: e, values: {v: click, b: purchase}},"
        " money: {column: p, currency: {column: cur}, pattern: '1.234,50 x'}"
    )
    rows = ('a,x,1,b,"1.234,50",usd', 'a,x,2,b,"9,99",', 'a,x,3,v,"5,00",EUR', 'a,x,4,b,"1",EURO')
    dataset = load(tmp_path, keys, *rows, header="u,i,t,e,p,cur")
    assert amounts(dataset) == [(1_234_500_000, "USD", False), (None, None, False)]
    assert events(dataset)[-1] == ("click", 3, "a", "x")  # a click is worth nothing
    assert bad(dataset) == [(4, "cur", "expected a currency such as EUR, got 'EURO'")]


def test_of_what_is_shown_only_a_purchase_has_an_amount_and_none_is_given_back(
    tmp_path: Path,
) -> None:
    keys = "clicked: c, outcomes: {purchase: b}, money: {column: p, currency: EUR}"
    rows = ("a,x,1,1,1,2.5", "a,y,2,1,0,2.5", "a,z,3,1,1,-2.5")
    dataset = load(tmp_path, keys, *rows, header="u,i,t,c,b,p")
    shown = [event.items[0] for event in dataset.events() if isinstance(event, ImpressionEvent)]
    assert [one.amount_micros for one in shown] == [2_500_000, None]
    assert bad(dataset) == [(3, "p", "expected at least 0, got '-2.5'")]
    assert len(events(dataset)) == 2


def test_a_return_of_what_was_shown_is_told_by_itself(tmp_path: Path) -> None:
    keys = f"{SHOWN}, money: {{column: p, currency: EUR}}"
    rows = ("a,x,0,view,", "a,x,1,buy,5", "a,x,2,buy,-5", "a,x,3,buy,2")
    dataset = load(tmp_path, keys, *rows, header="u,i,t,e,p")
    shown, back = dataset.events()
    assert isinstance(shown, ImpressionEvent) and shown.items[0].amount_micros == 7_000_000
    assert isinstance(back, ActionEvent) and back.takes_back and back.event_time_ms == 2_000


def test_a_grade_goes_with_the_actions_that_carry_one(tmp_path: Path) -> None:
    keys = "action: {column: e, values: {v: click, l: like, b: purchase}}, value: s"
    rows = ("a,x,1,v,5", "a,x,2,l,0.5", "a,x,3,b,4", "a,x,4,l,")
    dataset = load(tmp_path, keys, *rows, header="u,i,t,e,s")
    grades = {event[0]: 0 for event in events(dataset)}
    assert grades.keys() == {"click", "like", "purchase"}
    assert [e.value for e in dataset.events() if isinstance(e, ActionEvent)] == [0.5, 0, 0]


@pytest.mark.parametrize("kind", ["value: s", "value: {column: s}"])
def test_a_price_on_every_row_makes_none_of_them_liked(tmp_path: Path, kind: str) -> None:
    rows = ("a,x,1,0,86", "a,y,2,1,12.5", "a,z,3,0,")
    dataset = load(tmp_path, f"clicked: c, {kind}", *rows, header="u,i,t,c,s")
    shown = [event.items[0] for event in dataset.events() if isinstance(event, ImpressionEvent)]
    assert [one.grade for one in shown] == [None] * 3
    assert [one.graded(0) for one in shown] == [0.0] * 3
    assert dataset.counts is not None and dataset.counts.values_without_outcome == 1
