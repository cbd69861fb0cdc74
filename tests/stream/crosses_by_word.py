"""Lets drawn events with contexts go through the batch path, and counts again by hand.

    python crosses_by_word.py

A process of its own, whose application file and features a test has written.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.event import Event, ImpressionEvent, Shown, encode
from headrace.features.inputs import DENSE_NAMES
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import PartitionSettings

START_MS, NUM_EVENTS, STEP = 1_714_554_000_000, 400, 37
SURFACES, DEVICES = ("home", "search", "cart"), ("phone", "desk", None)
PRIOR, STRENGTH = 0.25, 4.0
TAGS = ("tea", "mugs", "gifts", "old")
ITEMS = {
    f"i{n}": Item(
        f"i{n}",
        categories=TAGS[n % 3 : n % 3 + n % 2 + 1],
        attributes=(f"author=a{n % 2}", "age=3") if n else (),
    )
    for n in range(6)
}
COLUMNS = (
    *("item_here_rate", "item_device_rate", "user_device_rate"),
    *("author_rate", "author_day_rate", "category_here_rate", "category_device_rate"),
)

Key = tuple[str, ...]


def events(random: Random) -> list[Event]:
    """Two items in each request, whose outcome is known."""
    made: list[Event] = []
    for n in range(NUM_EVENTS):
        items = random.sample([*ITEMS, "unknown"], 2)
        shown = tuple(Shown(item, k, random.random() < 0.4) for k, item in enumerate(items))
        device, user = random.choice(DEVICES), f"u{random.randrange(3)}"
        context = {} if device is None else {"device": device}
        about = (f"e{n}", START_MS + n, user, f"r{n}", shown, random.choice(SURFACES))
        made.append(ImpressionEvent(*about, context=context))
    return made


def keys_of(event: Event, item_id: str) -> list[list[Key]]:
    """Of each column the things whose counts it reads, all together."""
    device, item = (event.context or {}).get("device", ""), ITEMS.get(item_id, Item(item_id))
    authors = [("author", one) for one in item.attributes if one.startswith("author=")]
    return [
        [("item", item_id, event.surface)],
        [("item", item_id, "on", device)],
        [("user", event.user_id, "on", device)],
        authors,
        authors,
        [("category", name, event.surface) for name in item.categories],
        [("category", name, "on", device) for name in item.categories],
    ]


def check(log: list[Event], dense: list[np.ndarray]) -> None:
    """Compare the columns with counts of the events before each."""
    shown, clicked = Counter[Key](), Counter[Key]()
    for event, dense_NX in zip(log, dense, strict=True):
        expected = [
            [
                (sum(clicked[one] for one in keys) + PRIOR * STRENGTH)
                / (sum(shown[one] for one in keys) + STRENGTH)
                for keys in keys_of(event, item.item_id)
            ]
            for item in event.items
        ]
        assert np.allclose(dense_NX, expected, rtol=1e-6), event
        for item in event.items:
            for one in {key for keys in keys_of(event, item.item_id) for key in keys}:
                shown[one] += 1
                clicked[one] += bool(item.clicked)


def main() -> None:
    log = events(Random(3))
    path = BatchPath(ITEMS.get, PartitionSettings(10_000, 60_000))
    records = [Record(0, n, one.event_time_ms, b"", encode(one)) for n, one in enumerate(log)]
    samples = []
    for start in range(0, NUM_EVENTS, STEP):
        decoded = decode_records(records[start : start + STEP], START_MS + NUM_EVENTS)
        samples += path.process(0, decoded, START_MS + NUM_EVENTS).samples
    assert [one.request_id for one in samples] == [f"r{n}" for n in range(NUM_EVENTS)]
    assert [one.context or {} for one in samples] == [one.context for one in log]
    places = [DENSE_NAMES.index(name) for name in COLUMNS]
    check(log, [one.dense_NF[:, places] for one in samples])
    print("as counted")


if __name__ == "__main__":
    main()
