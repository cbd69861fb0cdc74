"""Events of actions: how an event tells them, and what is refused by the table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.action import ACTIONS, BIT, TABLE
from headrace.errors import InvalidEvent
from headrace.event import (
    ActionEvent,
    ImpressionEvent,
    Shown,
    decode,
    decode_batch,
    encode,
    told_by,
)

NOW_MS = 1_714_554_000_000
WHO = {"event_id": "e", "event_time_ms": NOW_MS, "user_id": "ann"}
LIKE = {**WHO, "type": "action", "item_id": "mug", "action": "like"}


def impression(**item: Any) -> dict[str, Any]:
    items = [{"item_id": "mug", **item}]
    return {**WHO, "type": "impression", "request_id": "r", "items": items}


def refused(document: dict[str, Any]) -> InvalidEvent:
    payload = json.dumps(document).encode()
    with pytest.raises(InvalidEvent) as caught:
        decode(payload, NOW_MS)
    (one,) = decode_batch([payload], [NOW_MS])
    assert isinstance(one, InvalidEvent) and str(one) == str(caught.value)
    return caught.value


def test_what_an_item_tells_of_each_action_comes_in_the_order_of_the_table() -> None:
    assert Shown("mug").told == (None,) * len(TABLE)
    came = {"long_view": False, "click": True}
    shown = Shown("mug", **told_by(came))
    assert shown.told == (True, None, False, *(None,) * (len(TABLE) - 3))
    event = ImpressionEvent("e", NOW_MS, "ann", "r", (shown,))
    assert decode(encode(event), NOW_MS) == event
    assert json.loads(encode(event))["items"] == [
        {"item_id": "mug", "clicked": True, "long_viewed": False}
    ]


def test_an_action_that_is_no_row_of_the_table_is_refused_with_those_that_are() -> None:
    error = refused({**LIKE, "action": "wink" * 20})
    assert error.field == "action" and len(str(error)) < 150
    assert "expected one of: add_to_cart, hide, like, long_view, purchase, report" in str(error)
    assert refused({**LIKE, "action": "click"}).field == "action", "it has an event of its own"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("like", '; this is {"type": "action", "action": "like"}'),
        ("wink", "got 'wink', expected one of: action, click, impression"),
    ],
)
def test_an_unknown_type_is_refused_with_those_that_are(name: str, says: str) -> None:
    error = refused({**WHO, "type": name, "item_id": "mug"})
    assert error.field == "type" and str(error).endswith(says)


@pytest.mark.parametrize("outcomes", [{"wink": True}, {"like": True}, {"": False}])
def test_an_outcome_that_is_no_row_or_has_a_field_is_refused(outcomes: dict[str, bool]) -> None:
    error = refused(impression(outcomes=outcomes))
    assert (
        error.field == "items[0].outcomes"
        and "expected one of: add_to_cart, hide, purchase" in str(error)
    )


@pytest.mark.parametrize("name", ACTIONS[1:])
def test_each_action_of_the_table_has_an_event_and_may_be_told_by_an_item(name: str) -> None:
    event = decode(json.dumps({**LIKE, "action": name}).encode(), NOW_MS)
    assert isinstance(event, ActionEvent) and not event.takes_back
    told = impression(**told_by({name: True}))
    assert decode(json.dumps(told).encode(), NOW_MS).items[0].told[ACTIONS.index(name)]


def test_money_is_told_in_micros_with_its_currency() -> None:
    paid = {**LIKE, "action": "purchase", "amount_micros": 19_990_000, "currency": "EUR"}
    event = decode(json.dumps(paid).encode(), NOW_MS)
    assert event.paid == 19.99 and decode(encode(event), NOW_MS) == event
    assert decode(json.dumps({**LIKE, "action": "purchase"}).encode(), NOW_MS).paid == 0
    shown = {"outcomes": {"purchase": True}, "amount_micros": 5, "currency": "JPY"}
    assert decode(json.dumps(impression(**shown)).encode(), NOW_MS).items[0].amount_micros == 5


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"currency": None}, "currency", "missing"),
        ({"amount_micros": None}, "amount_micros", "missing"),
        ({"action": "add_to_cart"}, "amount_micros", "no action that carries money"),
        (
            {"value": 0.5},
            "value",
            "an event of purchase has no grade: money is told in amount_micros",
        ),
        ({"currency": "euro"}, "currency", "matching"),
        ({"amount_micros": 19.99}, "amount_micros", "int"),
        ({"amount_micros": 10**15 + 1}, "amount_micros", "<="),
        ({"amount_micros": -(10**15) - 1}, "amount_micros", ">="),
    ],
)
def test_an_amount_that_cannot_be_is_refused(
    changes: dict[str, Any], field: str, reason: str
) -> None:
    paid = {**LIKE, "action": "purchase", "amount_micros": 5, "currency": "EUR"}
    error = refused({**paid, **changes})
    assert error.field == field and reason in str(error)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"amount_micros": 5, "currency": "EUR"}, "items[0].amount_micros"),
        ({"clicked": True, "amount_micros": 5, "currency": "EUR"}, "items[0].amount_micros"),
        ({"outcomes": {"purchase": True}, "amount_micros": 5}, "items[0].currency"),
        ({"outcomes": {"purchase": True}, "amount_micros": -5, "currency": "EUR"},
         "items[0].amount_micros"),
    ],
)  # fmt: skip
def test_an_item_has_an_amount_only_with_an_action_that_carries_money(
    item: dict[str, Any], field: str
) -> None:
    assert refused(impression(**item)).field == field


@pytest.mark.parametrize(
    ("told", "paid"),
    [
        ({"taken_back": True}, 0),
        ({"amount_micros": -7_000_000, "currency": "EUR"}, -7),
        ({"taken_back": True, "amount_micros": 7_000_000, "currency": "EUR"}, -7),
        ({"taken_back": True, "amount_micros": -7_000_000, "currency": "EUR"}, -7),
    ],
)
def test_a_negative_amount_takes_back_as_saying_so_does(told: dict[str, Any], paid: float) -> None:
    event = decode(json.dumps({**LIKE, "action": "purchase", **told}).encode(), NOW_MS)
    assert isinstance(event, ActionEvent) and event.takes_back and event.paid == paid


def test_a_value_is_a_grade_only_where_an_action_came_that_carries_one() -> None:
    graded = {
        "viewed": Shown("mug", clicked=False, value=86.0).graded(0),
        "clicked": Shown("mug", clicked=True, value=86.0).graded(BIT["click"]),
        "liked": Shown("mug", liked=True, value=0.8).graded(BIT["like"]),
        "rated": Shown("mug", clicked=False, grade=0.4).graded(0),
        "both": Shown("mug", liked=True, value=0.8, grade=0.0).graded(BIT["like"]),
    }
    assert graded == {"viewed": 0, "clicked": 0, "liked": 0.8, "rated": 0.4, "both": 0}


def test_outcomes_are_yes_or_no() -> None:
    assert refused(impression(outcomes={"wink": 3})).field.startswith("items[0].outcomes")
