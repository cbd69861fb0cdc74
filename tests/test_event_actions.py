"""Events of actions: how an event tells them, and what is refused by the table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.action import TABLE
from headrace.errors import InvalidEvent
from headrace.event import ImpressionEvent, Shown, decode, decode_batch, encode, told_by

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
    assert shown.told == (True, None, False)
    event = ImpressionEvent("e", NOW_MS, "ann", "r", (shown,))
    assert decode(encode(event), NOW_MS) == event
    assert json.loads(encode(event))["items"] == [
        {"item_id": "mug", "clicked": True, "long_viewed": False}
    ]


def test_an_action_that_is_no_row_of_the_table_is_refused_with_those_that_are() -> None:
    error = refused({**LIKE, "action": "wink" * 20})
    assert error.field == "action" and len(str(error)) < 150
    assert "expected one of: like, long_view" in str(error)
    assert refused({**LIKE, "action": "click"}).field == "action", "it has an event of its own"


@pytest.mark.parametrize("outcomes", [{"wink": True}, {"like": True}, {"": False}])
def test_an_outcome_that_is_no_row_or_has_a_field_is_refused(outcomes: dict[str, bool]) -> None:
    error = refused(impression(outcomes=outcomes))
    assert error.field == "items[0].outcomes" and "expected one of: none" in str(error)


def test_outcomes_are_yes_or_no() -> None:
    assert refused(impression(outcomes={"wink": 3})).field.startswith("items[0].outcomes")
