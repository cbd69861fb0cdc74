"""Whole numbers in JSON have no end, the columns that hold them do."""

from __future__ import annotations

import json

import pytest

from headrace.errors import InvalidEvent
from headrace.event import decode, decode_batch

NOW_MS = 1_714_554_000_000
IMPRESSION = {
    "type": "impression",
    "event_id": "e1",
    "event_time_ms": NOW_MS,
    "user_id": "ann",
    "request_id": "r1",
    "items": [{"item_id": "mug"}],
}
PURCHASE = {
    "type": "action",
    "event_id": "e1",
    "event_time_ms": NOW_MS,
    "user_id": "ann",
    "item_id": "mug",
    "action": "purchase",
    "currency": "EUR",
}


@pytest.mark.parametrize("digits", [18, 20, 300, 400, 4_000, 5_000])
@pytest.mark.parametrize("field", ["event_time_ms", "model_version", "version", "amount_micros"])
def test_a_whole_number_of_any_length_is_refused_and_named(field: str, digits: int) -> None:
    document = PURCHASE if field == "amount_micros" else IMPRESSION
    text = json.dumps({**document, field: 0}).replace(
        f'"{field}": 0', f'"{field}": 1{"0" * digits}'
    )
    with pytest.raises(InvalidEvent):
        decode(text.encode(), NOW_MS)
    (fault,) = decode_batch([text.encode()], [NOW_MS])
    assert isinstance(fault, InvalidEvent) and len(str(fault)) < 500
