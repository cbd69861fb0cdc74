"""What clients post is read up to a bound, and taken whole or refused whole before it is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from headrace.api.slate import AdsRequest, InvalidRequest, RecommendRequest, parse
from headrace.errors import InvalidEvent
from headrace.event import MAX_EVENT_BYTES, decode
from headrace.services.haproxy import MAX_BODY_BYTES
from serving.http.body import BodyTooLarge, read_body
from serving.posted.events import MAX_EVENTS, read_events

NOW_MS = 1_714_554_000_000
CLICK = {"type": "click", "user_id": "ann", "item_id": "mug"}


def impression(num_items: int, width: int = 1) -> dict[str, Any]:
    items = [{"item_id": f"{n}".rjust(width, "𝄞")} for n in range(num_items)]
    return {"type": "impression", "user_id": "ann", "request_id": "r", "items": items}


def refused(document: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        read_events(msgspec.json.encode(document), NOW_MS)
    return caught.value.field


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (CLICK | {"surface": "s" * 129}, "surface"),
        (CLICK | {"surface": "s" * 1_100_000}, "surface"),
        (CLICK | {"request_id": "r" * 257}, "request_id"),
        (CLICK | {"event_id": "r" * 257}, "event_id"),
        (CLICK | {"item_id": "i" * 257}, "item_id"),
        (CLICK | {"x" * 360_000: 1}, "x" * 360_000),
        (impression(1_000, width=256), "items"),
        (impression(1_001), "items"),
        ({**impression(1), "items": [{"item_id": "a", "campaign_id": "c" * 257}]},
         "items[0].campaign_id"),
    ],
)  # fmt: skip
def test_one_event_that_is_too_long_refuses_all_and_names_its_field(bad: Any, field: str) -> None:
    assert refused(bad) == field
    assert refused([CLICK] * 5 + [bad]) == f"[5].{field}"


def test_what_is_accepted_is_the_message_that_is_read_back() -> None:
    documents = [
        CLICK | {"surface": "s" * 128},
        CLICK | {"surface": ""},
        impression(900, width=255),
    ]
    for accepted in read_events(msgspec.json.encode(documents), NOW_MS):
        assert decode(accepted.message, NOW_MS) == accepted.event
        assert len(accepted.message) <= MAX_EVENT_BYTES


@pytest.mark.parametrize("char", ["\0", "\x1b", "\n", "\x7f", "\u202e", "𝄞", "é"])
def test_any_character_may_be_in_an_id_and_survives(char: str) -> None:
    (accepted,) = read_events(msgspec.json.encode(CLICK | {"item_id": f"a{char}b"}), NOW_MS)
    assert getattr(decode(accepted.message, NOW_MS), "item_id", "") == f"a{char}b"


@pytest.mark.parametrize("text", [b"\\ud800", b"\xed\xa0\x80", b"\xff", b"\x00"])
def test_what_is_no_text_is_refused(text: bytes) -> None:
    body = b'{"type": "click", "user_id": "ann", "item_id": "a%sb"}' % text
    with pytest.raises(InvalidEvent, match="not JSON"):
        read_events(body, NOW_MS)


def test_a_request_has_bounds_for_events_items_and_nesting() -> None:
    assert refused([CLICK] * (MAX_EVENTS + 1)) == "$" and refused([]) == "$"
    assert refused([impression(1_000)] * 21) == "[20].items"
    assert len(read_events(msgspec.json.encode([impression(1_000)] * 20), NOW_MS)) == 20
    started = time.perf_counter()
    assert refused([[]] * 1_300_000) == "$"
    assert refused({"type": [[[]]] * 100_000}) == "$"
    assert time.perf_counter() - started < 1


def test_a_body_is_read_up_to_its_bound() -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield bytes(1 << 20)

    async def fits() -> AsyncIterator[bytes]:
        yield b"{"
        yield b"}"

    assert asyncio.run(read_body({}, fits())) == b"{}"
    with pytest.raises(BodyTooLarge, match="4,000,000"):
        asyncio.run(read_body({}, chunks()))
    assert sent == 1 + MAX_BODY_BYTES // (1 << 20)
    sent = 0
    for told in (str(MAX_BODY_BYTES + 1), "9" * 10_000):
        with pytest.raises(BodyTooLarge):
            asyncio.run(read_body({"content-length": told}, chunks()))
    assert sent == 0


@pytest.mark.parametrize(
    ("asked", "kind", "field"),
    [
        ({"surface": "s" * 129}, RecommendRequest, "surface"),
        ({"surface": "s" * 129}, AdsRequest, "surface"),
        ({"exclude": ["i"] * 1_001}, RecommendRequest, "exclude"),
        ({"exclude": ["i" * 257]}, RecommendRequest, "exclude[0]"),
        ({"categories": ["i"] * 101}, AdsRequest, "categories"),
        ({"categories": ["i" * 257]}, AdsRequest, "categories[0]"),
    ],
)
def test_the_texts_and_lists_of_requests_are_bounded(asked: Any, kind: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(msgspec.json.encode({"user_id": "ann", **asked}), kind)
    assert caught.value.field == field
