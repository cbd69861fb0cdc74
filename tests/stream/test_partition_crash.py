"""Crashes: whenever a worker dies, samples, rows and counters end as if it never had.

The worker here does what `stream/worker.py` and `stream/delivery.py` do, over a store and topics in
memory. Every single write is a place to die. What must come out is recomputed from the log alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
import pytest
from drawn_log import EVERY_KIND, ONLY_CHOSEN, START_MS, USERS, make_log
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_worker import (
    CATALOGUE,
    DEDUPE_WINDOW,
    ITEMS,
    NUM_DRAWN,
    NUM_UNKNOWN,
    PARTITIONS,
    POPULARITY,
    UNKNOWN,
    WINDOW_MS,
    World,
    item_of,
    run,
)

from benchmarks.plain_draws import PlainDraws
from headrace import sample
from headrace.broker.record import Record
from headrace.errors import InvalidEvent
from headrace.event import (
    Event,
    ImpressionEvent,
    decode,
)
from headrace.features.aggregation.layout import Layout
from headrace.features.inputs import DENSE_NAMES
from headrace.features.rows.bounds import NOTHING, Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.row_messages import MERGED, RowDecoder
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import Rows, blank_rows, decode_rows
from headrace.features.table import CATEGORY_LAYOUT, ITEM_LAYOUT, LIFE, SHARED_LAYOUTS, USER_LAYOUT
from headrace.keys import key
from headrace.positions.commit import Commit
from headrace.sample import SEQUENCE_JOINED, SEQUENCE_KNOWN, Sample
from headrace.skipped import Skipped

# By user and request: offset, deadline, items, clicked items.
Opened = dict[tuple[str, str], tuple[int, int, tuple[str, ...], set[str]]]
USER_COUNT = DENSE_NAMES.index("user_impressions_log")
KINDS = ("shown", "clicked")
TOGETHER, APART = ((0, 1),), ((0,), (1,))  # one worker with both partitions, or two
ITEM_COUNT = DENSE_NAMES.index("item_impressions_log")


@dataclass
class Expected:
    """What one partition's log comes to, counted event by event in the plainest way."""

    samples: dict[tuple[int, int], tuple[str, tuple[str, ...], tuple[int, ...]]]
    log_q: dict[int, list[float]]  # of what was drawn, by offset
    shown_before: dict[int, list[int]]  # of the user, then of the items, of a known sample
    users: Counter[tuple[str, str]]
    items: Counter[tuple[str, str]]
    counters: Counter[str]
    draws: PlainDraws


def recount(log: list[Record]) -> Expected:
    draws = PlainDraws(CATALOGUE, NUM_DRAWN, POPULARITY, DEDUPE_WINDOW)
    expected = Expected({}, {}, {}, Counter(), Counter(), Counter(), draws)
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
        draws.add(record.offset, event)
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
        place = record.partition, record.offset
        items, expected.log_q[record.offset] = expected.draws.drawn(*place, event.item_id)
        labels = (1,) + (0,) * (len(items) - 1)
    request_id = event.request_id or event.event_id
    expected.samples[SEQUENCE_KNOWN, record.offset] = (request_id, items, labels)
    of_items = [expected.items[item, "shown"] for item in items]
    expected.shown_before[record.offset] = [expected.users[event.user_id, "shown"], *of_items]
    if record.offset in expected.log_q:  # what was drawn counts as nothing
        items, labels = items[:1], labels[:1]
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


def check_samples(samples: list[Sample], number: int, expected: Expected, alone: bool) -> None:
    found = {(s.sequence, s.source_offset): (s.request_id, s.item_keys, s.clicked) for s in samples}
    assert found == {
        place: (request_id, tuple(map(key, items)), labels)
        for place, (request_id, items, labels) in expected.samples.items()
    }
    assert len(samples) == len(expected.samples)
    for one in samples:
        if one.sequence != SEQUENCE_KNOWN:
            continue
        items = expected.samples[SEQUENCE_KNOWN, one.source_offset][1]
        log_q = expected.log_q.get(one.source_offset, [])
        assert one.log_q_N == pytest.approx(log_q, abs=1e-5)
        # No sample knows its own outcome. How late what other partitions say comes, nobody knows,
        # nor how late an item's owner merges what this one says, if that is another worker.
        lasting = [n for n, item in enumerate(items) if alone and item in ITEMS[number]]
        seen = [one.dense_NF[0, USER_COUNT], *one.dense_NF[lasting, ITEM_COUNT]]
        of_user, *of_items = np.log1p(expected.shown_before[one.source_offset])
        before = np.array([of_user, *(of_items[n] for n in lasting)])
        assert seen == before.astype(np.float32).tolist()


def check(world: World, number: int, expected: Expected, num_workers: int) -> None:
    check_samples(taken(world.samples[number]), number, expected, alone=num_workers == 1)
    for user in USERS[number]:
        row = decode_rows([world.users[user]] if user in world.users else [], USER_LAYOUT)
        counted = [expected.users[user, "shown"], expected.users[user, "clicked"]]
        assert (shown_clicked(row, USER_LAYOUT) or [0, 0]) == counted
    merged = MergedState(item_of, bounds=Bounds(Share(10**6, 10**9), NOTHING))
    merged.apply(world.item_partials)
    assert merged.items.num_unknown <= num_workers * NUM_UNKNOWN  # the others have a tombstone
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


def check_merged(world: World, expected: list[Expected], num_workers: int) -> None:
    """What is published is the newest, and all that the partitions' logs come to together."""
    published = MergedRows(2, RowDecoder(MERGED, nothing_described, Skipped()))
    of_kind = published.read(world.item_features)
    for layout in SHARED_LAYOUTS[:2]:
        new = of_kind[layout.entity]
        counted = dict(zip(new.ids, np.split(new.rows, len(new.ids)), strict=True))
        for item in CATALOGUE:
            counts = [sum(one.items[item, what] for one in expected) for what in KINDS]
            row = counted.get(item, blank_rows(layout, 1))
            assert shown_clicked(row, layout) == counts
        unknown = [item for item in new.ids if item.startswith(UNKNOWN)]
        assert len(unknown) <= num_workers * NUM_UNKNOWN


def shown_clicked(rows: Rows, layout: Layout) -> list[float]:
    life = rows["state"][layout.field_of[LIFE]]
    return [float(count) for row in life for count in row[:2]]


def survive(
    seed: int,
    num_events: int,
    crash_every: int,
    kinds: Mapping[str, int] = EVERY_KIND,
    workers: tuple[tuple[int, ...], ...] = TOGETHER,
) -> int:
    random = Random(seed)
    log = {n: make_log(random, n, num_events, kinds) for n in PARTITIONS}
    world = World(log)
    num_crashes = run(world, random, START_MS, crash_every, workers)
    expected = [recount(log[number]) for number in PARTITIONS]
    for number in PARTITIONS:
        check(world, number, expected[number], len(workers))
    check_merged(world, expected, len(workers))
    return num_crashes


@pytest.mark.parametrize("seed", range(10))
def test_without_a_crash_the_log_comes_to_what_a_recount_says(seed: int) -> None:
    assert survive(seed, num_events=60, crash_every=10**9) == 0


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([15, 40, 150]))
def test_crashes_at_any_write_change_nothing(seed: int, crash_every: int) -> None:
    survive(seed, num_events=40, crash_every=crash_every)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([15, 40, 150, 10**9]))
def test_two_workers_merge_what_both_say_whichever_crashes(seed: int, crash_every: int) -> None:
    survive(seed, num_events=40, crash_every=crash_every, workers=APART)


@pytest.mark.parametrize("seed", range(10))
def test_a_log_without_impressions_comes_to_a_recount_whatever_crashes(seed: int) -> None:
    assert survive(seed, num_events=60, crash_every=10**9, kinds=ONLY_CHOSEN) == 0
    assert survive(seed, num_events=60, crash_every=15, kinds=ONLY_CHOSEN) > 0


def test_the_simulation_does_crash() -> None:
    assert sum(survive(seed, 60, crash_every=20) for seed in range(7)) > 50
