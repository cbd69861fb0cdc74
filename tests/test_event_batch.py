"""Events decoded many at a time: the same events and errors as one at a time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InvalidEvent
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown, decode, decode_batch, encode

NOW_MS = 1_714_554_000_000
IMPRESSION = ImpressionEvent("e1", NOW_MS, "ann", "r1", (Shown("mug"), Shown("pen", 1, True)))
CLICK = ClickEvent("e2", NOW_MS, "ann", "mug", "r1")

events = st.sampled_from([IMPRESSION, CLICK])


def alone(payload: bytes) -> Event | tuple[str, str]:
    """What `decode` makes of a payload by itself."""
    try:
        return decode(payload, NOW_MS)
    except InvalidEvent as error:
        return str(error), error.field


@settings(max_examples=100)
@given(st.lists(st.one_of(events.map(encode), st.binary(max_size=9)), max_size=6), st.data())
def test_a_batch_is_what_each_payload_is_alone(payloads: list[bytes], data: st.DataObject) -> None:
    if payloads and data.draw(st.booleans()):  # cut one in two: the parts are no events
        place = data.draw(st.integers(0, len(payloads) - 1))
        cut = data.draw(st.integers(0, len(payloads[place])))
        payloads[place : place + 1] = [payloads[place][:cut], payloads[place][cut:]]
    decoded = decode_batch(payloads, [NOW_MS] * len(payloads))
    said = [(str(e), e.field) if isinstance(e, InvalidEvent) else e for e in decoded]
    assert said == [alone(payload) for payload in payloads]


def test_no_event_reaches_from_one_payload_into_the_next() -> None:
    whole = encode(IMPRESSION)
    cut = whole.index(b"},{") + 1
    parts = [whole[:cut], whole[cut + 1 :], whole + b"\n" + whole]
    assert all(isinstance(event, InvalidEvent) for event in decode_batch(parts, [NOW_MS] * 3))
