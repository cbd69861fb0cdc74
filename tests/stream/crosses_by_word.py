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
COLUMNS = ("item_here_rate", "item_device_rate", "user_device_rate")


def events(random: Random) -> list[Event]:
    """Two items in each request, whose outcome is known."""
    made: list[Event] = []
    for n in range(NUM_EVENTS):
        items = random.sample([f"i{k}" for k in range(5)], 2)
        shown = tuple(Shown(item, k, random.random() < 0.4) for k, item in enumerate(items))
        device, user = random.choice(DEVICES), f"u{random.randrange(3)}"
        context = {} if device is None else {"device": device}
        about = (f"e{n}", START_MS + n, user, f"r{n}", shown, random.choice(SURFACES))
        made.append(ImpressionEvent(*about, context=context))
    return made


def rate(counts: Counter[tuple[str, ...]], key: tuple[str, ...]) -> float:
    shown, clicked = counts[*key, "shown"], counts[*key, "clicked"]
    return (clicked + PRIOR * STRENGTH) / (shown + STRENGTH)


def main() -> None:
    log, counts = events(Random(3)), Counter[tuple[str, ...]]()
    path = BatchPath(Item, PartitionSettings(10_000, 60_000))
    records = [Record(0, n, one.event_time_ms, b"", encode(one)) for n, one in enumerate(log)]
    samples = []
    for start in range(0, NUM_EVENTS, STEP):
        decoded = decode_records(records[start : start + STEP], START_MS + NUM_EVENTS)
        samples += path.process(0, decoded, START_MS + NUM_EVENTS).samples
    assert [one.request_id for one in samples] == [f"r{n}" for n in range(NUM_EVENTS)]
    places = [DENSE_NAMES.index(name) for name in COLUMNS]
    for event, sample in zip(log, samples, strict=True):
        device = event.context.get("device", "")
        expected = [
            [
                rate(counts, ("item", one.item_id, event.surface)),
                rate(counts, ("item", one.item_id, "on", device)),
                rate(counts, ("user", event.user_id, "on", device)),
            ]
            for one in event.items
        ]
        assert np.allclose(sample.dense_NF[:, places], expected, rtol=1e-6), event
        assert sample.context == event.context
        for one in event.items:
            for key in (
                ("item", one.item_id, event.surface),
                ("item", one.item_id, "on", device),
                ("user", event.user_id, "on", device),
            ):
                counts[*key, "shown"] += 1
                counts[*key, "clicked"] += bool(one.clicked)
    print("as counted")


if __name__ == "__main__":
    main()
