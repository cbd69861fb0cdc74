"""Crashes: whenever a worker dies, samples, rows and counters end as if it never had.

The worker here does what `stream/worker.py` and `stream/delivery.py` do, over a store and topics in
memory. Every single write is a place to die. What must come out is recomputed from the log alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_worker import (
    DEDUPE_WINDOW,
    NUM_UNKNOWN,
    PARTITIONS,
    UNKNOWN,
    WINDOW_MS,
    World,
    item_of,
    run,
)

from headrace import sample
from headrace.broker.record import Record
from headrace.errors import InvalidEvent
from headrace.event import (
    MAX_AHEAD_MS,
    ClickEvent,
    Event,
    ImpressionEvent,
    Served,
    Shown,
    decode,
    encode,
)
from headrace.features.aggregation.layout import Layout
from headrace.features.inputs import DENSE_NAMES
from headrace.features.rows.bounds import NOTHING, Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import Rows, decode_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import CATEGORY_LAYOUT, ITEM_LAYOUT, LIFE, USER_LAYOUT
from headrace.keys import key
from headrace.positions.commit import Commit
from headrace.sample import SEQUENCE_JOINED, SEQUENCE_KNOWN, Sample

START_MS = 1_714_554_000_000
USERS = {0: ("ann", "bob"), 1: ("cat", "dan")}
ITEMS = {number: tuple(f"{number}{name}" for name in "abcde") for number in PARTITIONS}
# By user and request: offset, deadline, items, clicked items.
Opened = dict[tuple[str, str], tuple[int, int, tuple[str, ...], set[str]]]
USER_COUNT = DENSE_NAMES.index("user_impressions_log")
ITEM_COUNT = DENSE_NAMES.index("item_impressions_log")


def make_log(random: Random, number: int, num_events: int) -> list[Record]:
    """Events of every kind, with clicks in and out of their windows, copies and junk."""
    records: list[Record] = []
    requests: list[ImpressionEvent] = []
    arrival_ms = START_MS
    weights = {"known": 3, "open": 4, "click": 5, "lone click": 1, "copy": 2, "late copy": 1}
    weights |= {"junk": 1, "ahead": 1, "far ahead": 1, "borrowed": 2, "served": 1}
    while len(records) < num_events:
        arrival_ms += random.choice([0, 1, 20, 100, 400])
        (kind,) = random.choices([*weights], [*weights.values()])
        name, user = f"{number}-{len(records)}", random.choice(USERS[number])
        items, value = drawn_items(random, number), b'{"type": "click"}'
        if kind in ("known", "open"):
            labels = [random.choice([True, False]) if kind == "known" else None for _ in items]
            shown = tuple(Shown(i, clicked=label) for i, label in zip(items, labels, strict=True))
            event: Event = ImpressionEvent(name, arrival_ms - 5, user, f"r{name}", shown)
            if kind == "open":
                requests.append(event)
            value = encode(event)
        elif kind == "click" and requests:
            of = random.choice(requests[-4:])
            item = random.choice([shown.item_id for shown in of.items] + items[:1])
            value = encode(ClickEvent(name, arrival_ms - 5, of.user_id, item, of.request_id))
        elif kind == "lone click":
            value = encode(ClickEvent(name, arrival_ms - 5, user, items[0]))
        elif kind in ("ahead", "far ahead"):
            ahead_ms = random.randint(1, MAX_AHEAD_MS) + (kind == "far ahead") * MAX_AHEAD_MS
            value = encode(ClickEvent(name, arrival_ms + ahead_ms, user, items[0]))
        elif kind == "borrowed" and records:  # the ids of another user's event
            mine, theirs = (b'"user_id":"%s"' % user.encode() for user in USERS[number])
            value = random.choice(records[-DEDUPE_WINDOW:]).value.replace(mine, theirs)
        elif kind == "served":
            value = encode(with_unsigned_features(name, arrival_ms, user, items))
        elif kind == "copy" and records:
            value = random.choice(records[-DEDUPE_WINDOW:]).value
        elif kind == "late copy" and records:  # too late to be known as one: it is a new event
            late = random.choice(records[-3 * DEDUPE_WINDOW :]).value
            value = late if not any(one.request_id.encode() in late for one in requests) else value
        records.append(Record(number, len(records), arrival_ms, b"", value))
    return records


def drawn_items(random: Random, number: int) -> list[str]:
    """One to five items, some in no catalogue."""
    items = random.sample(ITEMS[number], random.randint(1, 3))
    strangers = [f"{UNKNOWN}{number}{n}" for n in random.sample(range(12), 2)]
    return random.sample([*items, *strangers], len(items) + random.randint(0, 2))


def with_unsigned_features(name: str, time_ms: int, user: str, items: list[str]) -> ImpressionEvent:
    """An impression whose features no replica signed."""
    shown, features = (
        tuple(Shown(item, clicked=True) for item in items),
        Served(INPUT_SCHEMA, b"", b""),
    )
    return ImpressionEvent(name, time_ms, user, f"r{name}", shown, served=features)


@dataclass
class Expected:
    """What one partition's log comes to, counted event by event in the plainest way."""

    samples: dict[tuple[int, int], tuple[str, tuple[str, ...], tuple[int, ...]]]
    shown_before: dict[int, list[int]]  # of the user, then of the items, of a known sample
    users: Counter[tuple[str, str]]
    items: Counter[tuple[str, str]]
    counters: Counter[str]


def recount(log: list[Record]) -> Expected:
    expected = Expected({}, {}, Counter(), Counter(), Counter())
    latest: dict[tuple[str, str], int] = {}
    opened: Opened = {}
    for record in log:
        try:
            event = decode(record.value, record.arrival_ms)
        except InvalidEvent:
            expected.counters["rejected"] += 1
            continue
        of_user = event.user_id, event.event_id
        copied = record.offset - latest.get(of_user, -(10**9)) <= DEDUPE_WINDOW
        latest[of_user] = record.offset
        expected.counters["duplicates" if copied else "accepted"] += 1
        if not copied:
            expected.counters["ahead"] += event.event_time_ms > record.arrival_ms
            expected.counters["unsigned"] += b'"served"' in record.value
            count_event(event, record, opened, expected)
    for (_, request_id), (offset, _, items, clicked) in opened.items():
        labels = tuple(int(item in clicked) for item in items)
        expected.samples[SEQUENCE_JOINED, offset] = (request_id, items, labels)
    return expected


def count_event(event: Event, record: Record, opened: Opened, expected: Expected) -> None:
    """`opened` keeps every open impression for good: its deadline tells who is in time."""

    def count(item: str, what: str) -> None:
        expected.users[event.user_id, what] += 1
        expected.items[item, what] += 1

    if isinstance(event, ImpressionEvent):
        items = tuple(shown.item_id for shown in event.items)
        if not event.outcome_known:
            deadline_ms = record.arrival_ms + WINDOW_MS
            opened[event.user_id, event.request_id] = (record.offset, deadline_ms, items, set())
            for item in items:
                count(item, "shown")
            return
        labels = tuple(int(bool(shown.clicked)) for shown in event.items)
    else:
        of_user = event.user_id, event.request_id or ""
        _, deadline_ms, of_request, clicked = opened.get(of_user, (0, 0, (), set()))
        if record.arrival_ms < deadline_ms and event.item_id in of_request:
            if event.item_id not in clicked:
                count(event.item_id, "clicked")
            clicked.add(event.item_id)
            return
        items, labels = (event.item_id,), (1,)
    request_id = event.request_id or event.event_id
    expected.samples[SEQUENCE_KNOWN, record.offset] = (request_id, items, labels)
    of_items = [expected.items[item, "shown"] for item in items]
    expected.shown_before[record.offset] = [expected.users[event.user_id, "shown"], *of_items]
    for item, label in zip(items, labels, strict=True):
        count(item, "shown")
        if label:
            count(item, "clicked")


def taken(messages: list[bytes]) -> list[Sample]:
    """The samples that the trainer takes: those beyond the last offset of their sequence."""
    last: dict[int, int] = {}
    kept = []
    for one in (one for message in messages for one in sample.decode_batch(message)):
        if one.source_offset > last.get(one.sequence, -1):
            last[one.sequence] = one.source_offset
            kept.append(one)
    return kept


def check(world: World, number: int, expected: Expected) -> None:
    samples = taken(world.samples[number])
    assert {
        (s.sequence, s.source_offset): (s.request_id, s.item_keys, s.clicked) for s in samples
    } == {
        place: (request_id, tuple(map(key, items)), labels)
        for place, (request_id, items, labels) in expected.samples.items()
    }
    assert len(samples) == len(expected.samples)
    for one in samples:
        if one.sequence == SEQUENCE_KNOWN:  # no sample knows its own outcome
            items = expected.samples[SEQUENCE_KNOWN, one.source_offset][1]
            lasting = [n for n, item in enumerate(items) if not item.startswith(UNKNOWN)]
            seen = [one.dense_NF[0, USER_COUNT], *one.dense_NF[lasting, ITEM_COUNT]]
            of_user, *of_items = np.log1p(expected.shown_before[one.source_offset])
            before = np.array([of_user, *(of_items[n] for n in lasting)])
            assert seen == before.astype(np.float32).tolist()
    for user in USERS[number]:
        row = decode_rows([world.users[user]] if user in world.users else [], USER_LAYOUT)
        counted = [expected.users[user, "shown"], expected.users[user, "clicked"]]
        assert (shown_clicked(row, USER_LAYOUT) or [0, 0]) == counted
    merged = MergedState(item_of, bounds=Bounds(Share(10**6, 10**9), NOTHING))
    merged.apply(world.item_features)
    assert merged.items.num_unknown <= NUM_UNKNOWN  # the others have a tombstone
    for item in ITEMS[number]:
        row = merged.items.partials(merged.items.indexes([item]), number)
        counted = [expected.items[item, "shown"], expected.items[item, "clicked"]]
        assert shown_clicked(row, ITEM_LAYOUT) == counted
        row = merged.categories.partials(merged.categories.indexes([item]), number)
        assert shown_clicked(row, CATEGORY_LAYOUT) == counted  # each item is its own category
    commit = msgspec.json.decode(world.commits[number], type=Commit)
    end = len(world.log[number])
    newest_ms = commit.newest_event_ms
    assert commit == Commit(
        offset=end, low_offset=end, newest_event_ms=newest_ms, late=commit.late, **expected.counters
    )
    rejected = {letter for letter in world.dead_letters if letter[0] == number}
    assert len(rejected) == expected.counters["rejected"]


def shown_clicked(rows: Rows, layout: Layout) -> list[float]:
    life = rows["state"][layout.field_of[LIFE]]
    return [float(count) for row in life for count in row[:2]]


def survive(seed: int, num_events: int, crash_every: int) -> int:
    random = Random(seed)
    log = {number: make_log(random, number, num_events) for number in PARTITIONS}
    world = World(log)
    num_crashes = run(world, random, START_MS, crash_every)
    for number in PARTITIONS:
        check(world, number, recount(log[number]))
    return num_crashes


@pytest.mark.parametrize("seed", range(10))
def test_without_a_crash_the_log_comes_to_what_a_recount_says(seed: int) -> None:
    assert survive(seed, num_events=60, crash_every=10**9) == 0


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([15, 40, 150]))
def test_crashes_at_any_write_change_nothing(seed: int, crash_every: int) -> None:
    survive(seed, num_events=40, crash_every=crash_every)


def test_the_simulation_does_crash() -> None:
    assert sum(survive(seed, 60, crash_every=20) for seed in range(7)) > 50
