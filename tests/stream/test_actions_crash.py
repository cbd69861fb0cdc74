"""Crashes among eight actions: outcomes, counts, histories and what is hidden equal a recount.

Actions come in and out of their windows, twice, alone and in impressions; some are taken back, also
by a negative amount, before or after their window, or without having come.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_worker import PARTITIONS, WINDOW_MS, World, run
from test_partition_crash import taken

from headrace.action import ACTIONS, BIT, CLICK, GRADE, MONEY, TABLE
from headrace.broker.record import Record
from headrace.event import (
    ActionEvent,
    ClickEvent,
    Event,
    ImpressionEvent,
    Shown,
    decode,
    encode,
    told_by,
)
from headrace.features.aggregation.facts import COUNTED
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import ITEM_LAYOUT, LAST, LIFE, USER_LAYOUT
from headrace.keys import key
from headrace.sample import SEQUENCE_JOINED, SEQUENCE_KNOWN, Sample

START_MS = 1_714_554_000_000
USERS = {0: ("ann", "bob"), 1: ("cat", "dan")}
ITEMS = {number: tuple(f"{number}{name}" for name in "abcd") for number in PARTITIONS}
ROW_OF = {row.name: row for row in TABLE}


def make_log(random: Random, number: int, num_events: int) -> list[Record]:
    """Impressions of open and known outcomes, and actions on items that were shown or not."""
    records: list[Record] = []
    requests: list[ImpressionEvent] = []
    arrival_ms = START_MS
    for offset in range(num_events):
        arrival_ms += random.choice([0, 1, 20, 100, 400])
        user, items = random.choice(USERS[number]), random.sample(ITEMS[number], 2)
        name, kind = f"{number}-{offset}", random.choice(["open", "known", "act", "act", "act"])
        event: Event
        if kind == "act":
            event = drawn_action(random, name, arrival_ms, user, items[0], requests[-3:])
        else:
            shown = [Shown(item) for item in items]
            if kind == "known":
                shown = [drawn_outcome(random, item) for item in items]
            event = ImpressionEvent(name, arrival_ms, user, f"r{name}", tuple(shown))
            requests += [event] if kind == "open" else []
        records.append(Record(number, offset, arrival_ms, b"", encode(event)))
    return records


def drawn_action(
    random: Random,
    name: str,
    time_ms: int,
    user: str,
    item: str,
    requests: list[ImpressionEvent],
) -> ClickEvent | ActionEvent:
    """Any action, most often on an item of a request, often taken back."""
    action, request = random.choice([*ACTIONS, "like", "purchase"]), None
    if requests and random.random() < 0.8:
        of = random.choice(requests)
        user, request = of.user_id, of.request_id
        item = random.choice(of.items).item_id
    if action == CLICK:
        return ClickEvent(name, time_ms, user, item, request)
    is_back = random.random() < 0.4
    paid = ROW_OF[action].value == MONEY and random.random() < 0.7
    return ActionEvent(
        name,
        time_ms,
        user,
        item,
        action,
        value=0.4 if ROW_OF[action].value == GRADE and random.random() < 0.5 else 0.0,
        request_id=request,
        amount_micros=(-1 if is_back else 1) * 5_000_000 if paid else None,
        currency="EUR" if paid else None,
        taken_back=is_back and not paid,
    )


def drawn_outcome(random: Random, item: str) -> Shown:
    came = {name: random.random() < 0.3 for name in ACTIONS}
    return Shown(item, grade=random.choice([None, 0.6]), **told_by(came))


@dataclass
class Opened:
    """An open impression: outcomes by item, as the set of its actions and the share."""

    offset: int
    deadline_ms: int
    items: tuple[str, ...]
    came: dict[str, set[str]]
    share: dict[str, int]


@dataclass
class Expected:
    """What one partition's log comes to, counted event by event in the plainest way."""

    outcomes: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # by user or item
    past: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)  # of users
    hidden: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)  # by user and action


def recount(log: list[Record]) -> Expected:
    expected, opened = Expected(), dict[str, Opened]()
    for record in log:
        event = decode(record.value, record.arrival_ms)
        if isinstance(event, ImpressionEvent):
            count_shown(event, record, opened, expected)
        else:
            count_action(event, record, opened, expected)
    for one in opened.values():
        masks = [sum(BIT[name] for name in one.came[item]) for item in one.items]
        outcomes = [m | one.share[i] << 8 for m, i in zip(masks, one.items, strict=True)]
        expected.outcomes[SEQUENCE_JOINED, one.offset] = tuple(outcomes)
    return expected


def count_shown(
    event: ImpressionEvent, record: Record, opened: dict[str, Opened], expected: Expected
) -> None:
    items = tuple(shown.item_id for shown in event.items)
    outcomes = []
    for shown in event.items:
        came = {name for name, did in zip(ACTIONS, shown.told, strict=True) if did}
        note(event, shown.item_id, {"shown": 1, **dict.fromkeys(came, 1)}, expected)
        mask = sum(BIT[name] for name in came)
        outcomes.append(mask | round(255 * (shown.grade or 0)) << 8)
        if event.outcome_known:
            past = expected.past.setdefault(event.user_id, [])
            past.append((event.event_time_ms, key(shown.item_id), mask))
    if event.outcome_known:
        expected.outcomes[SEQUENCE_KNOWN, record.offset] = tuple(outcomes)
    else:
        none: dict[str, set[str]] = {item: set() for item in items}
        end_ms = record.arrival_ms + WINDOW_MS
        opened[event.request_id] = Opened(
            record.offset, end_ms, items, none, dict.fromkeys(items, 0)
        )


def count_action(
    event: ClickEvent | ActionEvent, record: Record, opened: dict[str, Opened], expected: Expected
) -> None:
    action, item = getattr(event, "action", CLICK), event.item_id
    is_back, came = isinstance(event, ActionEvent) and event.takes_back, {action}
    of = opened.get(event.request_id or "")
    if of and record.arrival_ms < of.deadline_ms:
        if (action in of.came[item]) != is_back:
            return  # it came already, or there is nothing to take back
        if is_back:
            of.came[item].remove(action)
            if ROW_OF[action].value == GRADE:
                of.share[item] = 0
        else:
            of.came[item].add(action)
            of.share[item] = round(255 * getattr(event, "value", 0.0)) or of.share[item]
    elif ROW_OF[action].wish and not is_back:  # nobody was seen to show it: it was chosen
        came |= {CLICK}
        share = round(255 * getattr(event, "value", 0.0))
        expected.outcomes[SEQUENCE_KNOWN, record.offset] = (masked(came) | share << 8,)
        expected.counts[event.user_id, "shown"] += 1
        expected.counts[item, "shown"] += 1
    note(event, item, dict.fromkeys(came, -1 if is_back else 1), expected)
    mask = 0 if is_back else masked(came)
    past = expected.past.setdefault(event.user_id, [])
    past.append((event.event_time_ms, key(item), mask))


def masked(came: set[str]) -> int:
    return sum(BIT[name] for name in came)


def note(event: Event, item: str, measures: dict[str, int], expected: Expected) -> None:
    """Counts of the user and the item, and what hides the item from the user."""
    hidden = expected.hidden.setdefault(event.user_id, {})
    for name, num in measures.items():
        expected.counts[event.user_id, name] += num
        expected.counts[item, name] += num
        if name in ROW_OF and ROW_OF[name].hides_s:
            hidden.setdefault(name, {})[item] = event.event_time_ms // 1_000 if num > 0 else 0


def check(world: World, number: int, expected: Expected) -> None:
    samples = taken(world.samples[number])
    outcomes = {(one.sequence, one.source_offset): shown_outcomes(one) for one in samples}
    assert outcomes == expected.outcomes and len(samples) == len(outcomes)
    for user in USERS[number]:
        (row,) = decode_rows([world.users[user]], USER_LAYOUT)["state"]
        counted = row[USER_LAYOUT.field_of[LIFE]].tolist()
        assert counted == [expected.counts[user, name] for name in COUNTED]
        last = row[USER_LAYOUT.field_of[LAST]]
        past = rows_of(last, "time_ms", "item", "action")
        kept = sorted(expected.past[user], reverse=True)[: LAST.length]
        assert [one for one in past if one[1]] == kept
        for name in ("hide", "report"):
            of_list = expected.hidden[user].get(name, {})
            hidden = {key(item): time_s for item, time_s in of_list.items()}
            assert world.lists.get((user, f"user_hides_{name}"), {}) == hidden
    merged = MergedState(lambda item_id: None)
    merged.apply(world.item_partials)
    for item in ITEMS[number]:
        (state,) = merged.items.partials(merged.items.indexes([item]), number)["state"]
        counted = state[ITEM_LAYOUT.field_of[LIFE]].tolist()
        assert counted == [expected.counts[item, name] for name in COUNTED]


def shown_outcomes(sample: Sample) -> tuple[int, ...]:
    """The outcomes without those of what was drawn beside: nothing came of it."""
    if not sample.log_q:
        return sample.outcomes
    assert not any(sample.outcomes[1:])
    return sample.outcomes[:1]


def rows_of(state: np.ndarray, *names: str) -> list[tuple[int, ...]]:
    """The entries of a sequence."""
    return list(zip(*(state[name].tolist() for name in names), strict=True))


def survive(seed: int, num_events: int, crash_every: int) -> int:
    random = Random(seed)
    log = {number: make_log(random, number, num_events) for number in PARTITIONS}
    world = World(log)
    num_crashes = run(world, random, START_MS, crash_every)
    for number in PARTITIONS:
        check(world, number, recount(log[number]))
    return num_crashes


@pytest.mark.parametrize("seed", range(6))
def test_without_a_crash_the_log_comes_to_what_a_recount_says(seed: int) -> None:
    assert survive(seed, num_events=120, crash_every=10**9) == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([15, 40, 150]))
def test_crashes_at_any_write_change_nothing(seed: int, crash_every: int) -> None:
    survive(seed, num_events=60, crash_every=crash_every)


def test_the_log_has_what_it_is_made_for() -> None:
    random = Random(0)
    log = [decode(r.value, r.arrival_ms) for r in make_log(random, 0, 400)]
    acted = [event for event in log if isinstance(event, ActionEvent)]
    assert {event.action for event in acted} == {*ACTIONS} - {CLICK}
    for is_back in (True, False):
        assert sum(event.takes_back is is_back for event in acted) > 50
