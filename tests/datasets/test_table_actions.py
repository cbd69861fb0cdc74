"""Kinds of action in a log: a column each or a row each, shown or not, paid or given back."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_folder import bad, events
from table_folder import load_events as load

from headrace.action import ACTIONS
from headrace.datasets.table import loader as table
from headrace.errors import ConfigError
from headrace.event import ImpressionEvent

KINDS = "action: {column: e, values: {view: click, cart: add_to_cart, buy: purchase}}"


def test_without_impressions_each_action_is_an_event_of_no_request(tmp_path: Path) -> None:
    dataset = load(tmp_path, KINDS, "a,x,1,view", "a,x,2,cart", "b,x,2,view", "a,x,9,buy")
    assert events(dataset) == [
        ("click", 1, "a", "x"),
        ("add_to_cart", 2, "a", "x"),
        ("click", 2, "b", "x"),
        ("purchase", 9, "a", "x"),
    ]
    assert all(getattr(event, "request_id", None) is None for event in dataset.events())
    counts = dataset.counts
    assert counts is not None
    assert (counts.num_events, counts.num_impressions, counts.num_positives) == (4, 0, 4)
    assert counts.actions["click"] == 2 and counts.actions["purchase"] == 1


def test_every_row_may_be_of_one_action(tmp_path: Path) -> None:
    dataset = load(tmp_path, "action: {always: purchase}", "a,x,1,", "a,y,1,")
    assert events(dataset) == [("purchase", 1, "a", "x"), ("purchase", 1, "a", "y")]
    dataset = load(tmp_path, "surface: e", "a,x,1,home", "a,y,1,home")
    assert events(dataset) == [("click", 1, "a", "x"), ("click", 1, "a", "y")]


def test_columns_of_actions_without_impressions_tell_only_what_came(tmp_path: Path) -> None:
    keys = "clicked: c, outcomes: {like: l}, impressions: false"
    rows = ("a,x,1,1,0", "b,x,2,0,0", "c,x,3,0,1", "d,x,4,1,1")
    dataset = load(tmp_path, keys, *rows, header="u,i,t,c,l")
    assert events(dataset) == [
        ("click", 1, "a", "x"),
        ("like", 3, "c", "x"),
        ("click", 4, "d", "x"),
        ("like", 4, "d", "x"),
    ]
    assert dataset.counts is not None and dataset.counts.num_idle == 1
    assert [user.user_id for user in dataset.users] == ["a", "c", "d"]


def test_a_value_that_the_mapping_does_not_know_makes_a_bad_row_one_left_out_none(
    tmp_path: Path,
) -> None:
    keys = "action: {column: e, values: {1: click, b: like, search: , 2.0: purchase}}"
    rows = ("a,x,1,1", "a,x,2,b", "a,x,3,search", "a,x,4,", "a,x,5,sale", "a,y,6,2.0")
    dataset = load(tmp_path, keys.replace("2.0", '"2.0"'), *rows)
    assert [event[0] for event in events(dataset)] == ["click", "like", "purchase"]
    assert bad(dataset) == [
        (4, "e", "missing"),
        (5, "e", "expected one of 1, b, search, 2.0, got 'sale'"),
    ]
    assert dataset.counts is not None and dataset.counts.num_idle == 1


SHOWN = "action: {column: e, values: {view: shown, tap: click, cart: add_to_cart, buy: purchase}}"


def test_an_action_belongs_to_the_newest_impression_of_its_item(tmp_path: Path) -> None:
    rows = ("a,x,0,view", "a,y,5,view", "a,x,60,cart", "b,x,60,buy", "a,x,100,view", "a,x,101,tap",
            "a,x,1800,buy", "a,x,1901,buy", "a,z,1902,tap")  # fmt: skip
    dataset = load(tmp_path, SHOWN, *rows)
    assert events(dataset) == [
        ("shown", 0, "a", {"x": "click+add_to_cart"}),
        ("shown", 5, "a", {"y": ""}),
        ("purchase", 60, "b", "x"),  # nobody showed it to b
        ("shown", 100, "a", {"x": "click+purchase"}),
        ("purchase", 1901, "a", "x"),  # half an hour is over
        ("click", 1902, "a", "z"),
    ]
    counts = dataset.counts
    assert counts is not None and (counts.num_events, counts.num_impressions) == (6, 3)
    within = SHOWN.replace("buy: purchase}", "buy: purchase}, within_s: 50")
    assert ("add_to_cart", 60, "a", "x") in events(load(tmp_path, within, *rows))


def test_an_impression_is_known_to_have_or_lack_each_action_of_the_mapping(tmp_path: Path) -> None:
    dataset = load(tmp_path, SHOWN, "a,x,0,view", "a,x,0,buy", "a,y,1,view")
    bought, left = (event.items[0].told for event in dataset.events())  # type: ignore[union-attr]
    known = dict(zip(ACTIONS, bought, strict=True))
    assert known["click"] and known["purchase"] and known["add_to_cart"] is False
    assert known["like"] is None
    assert dict(zip(ACTIONS, left, strict=True))["click"] is False


def test_a_request_shows_several_items_and_takes_its_own_actions(tmp_path: Path) -> None:
    rows = ("a,x,0,view,p1", "a,y,0,view,p1", "a,x,9,view,p2", "a,y,10,tap,p1", "a,x,11,tap,p1")
    dataset = load(tmp_path, f"{SHOWN}, request_id: r", *rows, header="u,i,t,e,r")
    assert events(dataset) == [
        ("shown", 0, "a", {"x": "click", "y": "click"}),
        ("shown", 9, "a", {"x": ""}),
    ]
    assert [event.request_id for event in dataset.events()] == ["p1", "p2"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_view_and_a_purchase_at_once_the_stronger_outcome_is_told(
    tmp_path: Path, order: int
) -> None:
    rows = ("a,x,1,0", "a,x,1,1")[::order]
    dataset = load(tmp_path, "clicked: e", *rows)
    assert events(dataset) == [("shown", 1, "a", {"x": "click"})]
    assert dataset.num_bad_rows == 0
    assert dataset.counts is not None and dataset.counts.num_merged == 1


def test_what_came_of_either_row_came_and_the_stronger_one_tells_the_rest(tmp_path: Path) -> None:
    keys = "clicked: c, outcomes: {purchase: p}, position: pos, request_id: r"
    rows = ("a,x,1,1,0,3,r", "a,y,1,0,0,1,r", "a,x,1,0,1,7,r")
    dataset = load(tmp_path, keys, *rows, header="u,i,t,c,p,pos,r")
    assert events(dataset) == [("shown", 1, "a", {"y": "", "x": "click+purchase"})]
    (event,) = dataset.events()
    assert isinstance(event, ImpressionEvent) and event.positions == (1, 7)


@pytest.mark.parametrize(("distinct", "wanted"), [("first", ""), ("last", "click")])
def test_the_first_or_the_last_row_may_count_instead(
    tmp_path: Path, distinct: str, wanted: str
) -> None:
    rows = ("a,x,1,0", "a,x,1,1", "a,x,1,0", "a,x,1,1")
    dataset = load(tmp_path, f"clicked: e, distinct: {distinct}", *rows)
    assert events(dataset) == [("shown", 1, "a", {"x": wanted})]
    assert dataset.num_bad_rows == 0


def test_guests_are_users_by_their_order(tmp_path: Path) -> None:
    keys = "user_id: {column: u, guest: o}, action: {always: purchase}"
    (tmp_path / "headrace.yaml").write_text(
        f"events: {{file: e.csv, item_id: i, time: {{column: t, unit: s}}, {keys}}}"
    )
    (tmp_path / "e.csv").write_text("u,i,t,o\n7,x,1,o1\n,x,2,o2\n,y,3,o2\n ,z,4,\n7,z,5,\n")
    dataset = table.load(tmp_path)
    assert [event.user_id for event in dataset.events()] == ["7", "guest-o2", "guest-o2", "7"]
    assert bad(dataset) == [(4, "u", "missing")]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("action: {column: e, values: {a: wink}}", "events.action: got 'wink', expected some of"),
        ("action: {column: e}", "events.action.column: expected column and values, or always"),
        ("action: {column: e, values: {a: click}, always: click}", "events.action.always: goes"),
        ("action: {always: click}, clicked: c", "events.action: clicked and outcomes tell the"),
        ("action: {column: e, values: {v: shown}}, impressions: false", "events.impressions: is"),
        ("clicked: c, item_ids: {column: i}", "events.item_id: leave out item_ids or this"),
        ("clicked: c, money: {column: p, currency: euro}", "events.money.currency: got 'euro'"),
        ("clicked: c, money: {column: p}", "events.money.currency: missing"),
        ("clicked: c, value: {column: v, pattern: '12'}", "events.value.pattern: got '12'"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(
    tmp_path: Path, keys: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, keys, "a,x,1,0")
    assert problem in str(caught.value)
