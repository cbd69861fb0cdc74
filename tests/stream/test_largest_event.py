"""The largest event that is accepted: all that is made of it fits into messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from one_partition import START_MS, Stream

from headrace.event import MAX_EVENT_BYTES, MAX_ITEMS, MAX_SURFACE, ImpressionEvent, Shown, encode
from headrace.features.rows.messages.row_messages import partial_messages
from headrace.features.rows.numbers_message import encode_feature_rows, numbered
from headrace.features.table import ITEM, ITEM_LAYOUT
from headrace.sample import MAX_MESSAGE_BYTES, encode_batches
from headrace.stream.step.partition import Effects

BROKER_BYTES = 1_000_000  # of the default 1,048,588; a batch has its own header


def wide(number: int, width: int = 256) -> str:
    """An id of as many characters as there may be, each of four bytes."""
    return f"{number:04}".rjust(width, "𝄞")


def largest(user: str, num_items: int = MAX_ITEMS, width: int = 256) -> ImpressionEvent:
    items = tuple(
        Shown(wide(n, width), 1_000_000, True, True, True, 1e9, None, 0.123456789)
        for n in range(num_items)
    )
    return ImpressionEvent(
        user, START_MS, user, wide(1), items, surface="𝄞" * MAX_SURFACE, model_version=2**53 - 1
    )


def messages_of(effects: Effects) -> Iterator[tuple[str, bytes, bytes]]:
    for message in encode_batches(effects.samples):
        yield "samples", b"", message
    for about, value in partial_messages(effects.changed.partials):
        yield "item-partials", about.encoded(), value
    ids, rows = effects.changed.partials[ITEM]
    for message in encode_feature_rows(numbered(ITEM_LAYOUT, 0, ids, rows)):
        yield "feature-rows", b"", message


@pytest.mark.parametrize(("num_items", "width"), [(1_000, 200), (860, 256)])
def test_what_is_made_of_the_largest_event_fits(num_items: int, width: int) -> None:
    stream = Stream()
    events = [largest(wide(n), num_items, width) for n in range(3)]
    assert 0.9 * MAX_EVENT_BYTES < len(encode(events[0])) <= MAX_EVENT_BYTES
    effects = stream.send(*events)
    assert len(effects.samples) == 3
    found = list(messages_of(effects))
    assert {topic for topic, *_ in found} == {"samples", "item-partials", "feature-rows"}
    assert all(len(key) + len(value) < BROKER_BYTES for _, key, value in found)


def test_one_sample_of_a_thousand_items_fits_into_a_message_and_three_are_parted() -> None:
    stream = Stream()
    effects = stream.send(*(largest(wide(n), width=8) for n in range(3)))
    sizes = [len(message) for message in encode_batches(effects.samples)]
    one = len(next(encode_batches(effects.samples[:1])))
    assert one < MAX_MESSAGE_BYTES / 2 and max(sizes) <= MAX_MESSAGE_BYTES + 5
