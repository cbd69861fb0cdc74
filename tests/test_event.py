"""Events: what is accepted, and how each thing that is wrong is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.epoch import EARLIEST_MS, PER_SECOND
from headrace.errors import InvalidEvent
from headrace.event import (
    EVENT_VERSION,
    MAX_AHEAD_MS,
    MAX_ITEMS,
    ActionEvent,
    ClickEvent,
    Event,
    ImpressionEvent,
    Served,
    Shown,
    accept,
    decode,
    encode,
)

NOW_MS = 1_714_554_000_000

IMPRESSION: dict[str, Any] = {
    "type": "impression",
    "event_id": "e1",
    "event_time_ms": NOW_MS,
    "user_id": "ann",
    "request_id": "r1",
    "items": [{"item_id": "mug"}, {"item_id": "pen", "position": 1, "clicked": True}],
}
CLICK: dict[str, Any] = {
    "type": "click",
    "event_id": "e2",
    "event_time_ms": NOW_MS,
    "user_id": "ann",
    "item_id": "mug",
}

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
times_ms = st.integers(EARLIEST_MS, NOW_MS + MAX_AHEAD_MS) | st.integers(0, 10**6)
shown = st.builds(
    Shown,
    item_id=ids,
    position=st.integers(0, 1_000_000),
    clicked=st.none() | st.booleans(),
    liked=st.none() | st.booleans(),
    long_viewed=st.none() | st.booleans(),
    value=st.floats(-1e9, 1e9),
    campaign_id=st.none() | ids,
    propensity=st.none() | st.floats(0, 1, exclude_min=True),
)
served = st.builds(Served, schema=st.integers(0, 2**32 - 1), dense=st.binary(), history=st.binary())
events = st.one_of(
    st.builds(
        ImpressionEvent,
        event_id=ids,
        event_time_ms=times_ms,
        user_id=ids,
        request_id=ids,
        items=st.lists(shown, min_size=1, max_size=4, unique_by=lambda s: s.item_id).map(tuple),
        surface=ids,
        model_version=st.none() | st.integers(0, 2**31),
        served=st.none() | served,
    ),
    st.builds(
        ActionEvent,
        event_id=ids,
        event_time_ms=times_ms,
        user_id=ids,
        item_id=ids,
        action=st.sampled_from(["like", "long_view"]),
        value=st.floats(-1e9, 1e9),
        request_id=st.none() | ids,
    ),
    st.builds(
        ClickEvent,
        event_id=ids,
        event_time_ms=times_ms,
        user_id=ids,
        item_id=ids,
        request_id=st.none() | ids,
        surface=ids,
    ),
)


def refused(document: Any) -> InvalidEvent:
    """The error of `decode` for this document; `accept` of a full document must agree."""
    with pytest.raises(InvalidEvent) as caught:
        decode(json.dumps(document).encode(), NOW_MS)
    with pytest.raises(InvalidEvent) as accepting:
        accept(document, NOW_MS)
    assert accepting.value.field == caught.value.field
    return caught.value


@settings(max_examples=60)
@given(events)
def test_an_event_comes_back_equal_from_its_json(event: Event) -> None:
    payload = encode(event)
    assert json.loads(payload)["type"] in ("impression", "click", "action")
    assert decode(payload, NOW_MS) == event


def test_defaults_need_not_be_sent() -> None:
    event = decode(json.dumps(IMPRESSION).encode(), NOW_MS)
    assert isinstance(event, ImpressionEvent)
    assert event.items == (Shown("mug"), Shown("pen", 1, clicked=True))
    assert (event.surface, event.model_version, event.served) == ("home", None, None)
    assert event.version == EVENT_VERSION
    click = decode(json.dumps(CLICK).encode(), NOW_MS)
    assert isinstance(click, ClickEvent) and click.request_id is None


def test_the_outcome_is_known_when_every_item_says_whether_it_was_clicked() -> None:
    event = decode(json.dumps(IMPRESSION).encode(), NOW_MS)
    assert isinstance(event, ImpressionEvent) and not event.outcome_known
    items = [{"item_id": "mug", "clicked": False}, {"item_id": "pen", "clicked": True}]
    event = decode(json.dumps({**IMPRESSION, "items": items}).encode(), NOW_MS)
    assert isinstance(event, ImpressionEvent) and event.outcome_known


@pytest.mark.parametrize("name", sorted(IMPRESSION.keys() - {"event_id", "event_time_ms"}))
def test_a_missing_field_of_an_impression_is_named(name: str) -> None:
    assert refused({k: v for k, v in IMPRESSION.items() if k != name}).field == name


@pytest.mark.parametrize("name", ["type", "user_id", "item_id"])
def test_a_missing_field_of_a_click_is_named(name: str) -> None:
    assert refused({k: v for k, v in CLICK.items() if k != name}).field == name


@pytest.mark.parametrize("name", ["event_id", "event_time_ms"])
def test_the_log_wants_the_fields_that_accept_fills(name: str) -> None:
    document = {k: v for k, v in CLICK.items() if k != name}
    with pytest.raises(InvalidEvent) as caught:
        decode(json.dumps(document).encode(), NOW_MS)
    assert caught.value.field == name
    accept(document, NOW_MS)


@pytest.mark.parametrize(
    "name", ["clicks", "user-agent", "a.b", "größe", "line\nbreak", "a`b", " "]
)
def test_an_unknown_field_is_named(name: str) -> None:
    assert refused({**CLICK, name: 1}).field == name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "view"}, "type"),
        ({"type": 3}, "type"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 257}, "event_id"),
        ({"event_id": 5}, "event_id"),
        ({"user_id": None}, "user_id"),
        ({"request_id": ["r"]}, "request_id"),
        ({"event_time_ms": "now"}, "event_time_ms"),
        ({"event_time_ms": 1.5}, "event_time_ms"),
        ({"event_time_ms": -1}, "event_time_ms"),
        ({"event_time_ms": NOW_MS // 1_000}, "event_time_ms"),
        ({"event_time_ms": 10**30}, "event_time_ms"),
        ({"items": []}, "items"),
        ({"items": "mug"}, "items"),
        ({"items": [{"item_id": f"i{n}"} for n in range(MAX_ITEMS + 1)]}, "items"),
        ({"items": ["mug"]}, "items[0]"),
        ({"items": [{}]}, "items[0].item_id"),
        ({"items": [{"item_id": 3}]}, "items[0].item_id"),
        ({"items": [{"item_id": "a"}, {"item_id": ""}]}, "items[1].item_id"),
        ({"items": [{"item_id": "a", "clicked": 1}]}, "items[0].clicked"),
        ({"items": [{"item_id": "a", "position": -1}]}, "items[0].position"),
        ({"items": [{"item_id": "a", "position": 10**30}]}, "items[0].position"),
        ({"items": [{"item_id": "a", "value": 1e300}]}, "items[0].value"),
        ({"items": [{"item_id": "a", "propensity": 0}]}, "items[0].propensity"),
        ({"items": [{"item_id": "a", "rank": 1}]}, "items[0].rank"),
        ({"served": {"schema": 1, "dense": "AA=="}}, "served.history"),
        ({"served": {"schema": 1, "dense": "!!", "history": ""}}, "served.dense"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(change: dict[str, Any], field: str) -> None:
    assert refused({**IMPRESSION, **change}).field == field


def test_an_unknown_version_is_named_before_its_consequences() -> None:
    for later in ({"version": 2}, {"version": 2, "clicks": 1}, {"version": 2, "items": "new form"}):
        error = refused({**IMPRESSION, **later})
        assert error.field == "version"
        assert "unknown version 2" in str(error) and "reads version 1" in str(error)
    assert refused({**CLICK, "version": "1"}).field == "version"


def test_a_time_too_far_ahead_is_refused_with_both_times_and_the_bound() -> None:
    last_ms = NOW_MS + MAX_AHEAD_MS
    assert decode(json.dumps({**CLICK, "event_time_ms": last_ms}).encode(), NOW_MS)
    error = refused({**CLICK, "event_time_ms": last_ms + 1})
    assert error.field == "event_time_ms"
    for told in (str(last_ms + 1), str(NOW_MS), "300.0 s ahead", "at most 300 s"):
        assert told in str(error)
    for beyond_64_bits in (2**63, 10**400):
        assert refused({**CLICK, "event_time_ms": beyond_64_bits}).field == "event_time_ms"


def test_how_far_ahead_a_time_may_lie_can_be_set() -> None:
    document = {**CLICK, "event_time_ms": NOW_MS + 5_001}
    assert decode(json.dumps(document).encode(), NOW_MS, 5_001)
    for refuse in (
        lambda: decode(json.dumps(document).encode(), NOW_MS, 5_000),
        lambda: accept(document, NOW_MS, 5_000),
    ):
        with pytest.raises(InvalidEvent, match="at most 5 s are allowed"):
            refuse()


@pytest.mark.parametrize("unit", [unit for unit in PER_SECOND if unit != "milliseconds"])
def test_a_time_in_another_unit_is_refused_with_its_name(unit: str) -> None:
    error = refused({**CLICK, "event_time_ms": NOW_MS * PER_SECOND[unit] // 1_000})
    assert error.field == "event_time_ms" and f"is it in {unit}?" in str(error)


def test_an_item_may_be_shown_only_once_in_a_request() -> None:
    items = [{"item_id": "mug", "position": 0}, {"item_id": "mug", "position": 1}]
    error = refused({**IMPRESSION, "items": items})
    assert error.field == "items" and "twice" in str(error)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"click",
        b"\xff\xfe",
        b'"\xff"',
        json.dumps(CLICK).encode() + b"}",
        json.dumps(CLICK).replace("ann", "\\ud800").encode(),
        json.dumps(CLICK).encode().replace(b"ann", b"\xff"),
    ],
)
def test_bytes_that_are_not_json_are_refused(payload: bytes) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode(payload, NOW_MS)
    assert caught.value.field == "$"


@pytest.mark.parametrize("document", [[], [CLICK], 3, "click", None, True])
def test_json_that_is_not_an_object_is_refused(document: Any) -> None:
    error = refused(document)
    assert error.field == "$" and "expected" in str(error).casefold()


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b'{"type":"click","event_id":5', "event_id"),
        (b'{"type":"click","event_id":5,"surface":"\xff"}', "event_id"),
        (b'{"type":"click","event_id":5,"version":1e400}', "event_id"),
        (b'{"type":"click","event_id":5,"x":' + b"[" * 100_000 + b"}", "event_id"),
        (b"[" * 100_000, "$"),
        (json.dumps(CLICK).encode()[:-1] + b',"x":' + b"[" * 100_000, "x"),
    ],
    ids=["truncated", "not utf-8", "number too large", "deep after", "deep", "deep unknown"],
)
def test_what_follows_the_field_at_fault_may_be_anything(payload: bytes, field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode(payload, NOW_MS)
    assert caught.value.field == field


@settings(max_examples=100)
@given(events.map(encode), st.data())
def test_damaged_bytes_are_an_event_or_an_invalid_event_and_nothing_else(
    payload: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, len(payload)))
    damaged = payload[:start] + data.draw(st.binary(max_size=4)) + payload[end:]
    try:
        assert decode(damaged, NOW_MS)
    except InvalidEvent as error:
        assert error.field


def test_accept_fills_the_id_and_the_time() -> None:
    document = {"type": "click", "user_id": "ann", "item_id": "mug"}
    one, other = accept(document, NOW_MS), accept(document, NOW_MS)
    assert one.event_time_ms == NOW_MS
    assert one.event_id and one.event_id != other.event_id
    assert decode(encode(one), NOW_MS) == one
    given_both = accept({**document, "event_id": "e9", "event_time_ms": NOW_MS - 7}, NOW_MS)
    assert (given_both.event_id, given_both.event_time_ms) == ("e9", NOW_MS - 7)
    assert "event_id" not in document
