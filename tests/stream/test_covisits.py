"""Companions of items: what users chose in a session with them, as recounted one by one."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_partition import NUMBER, START_MS, Stream, click, known

from headrace.event import ActionEvent, Event, encode
from headrace.features.companions import COMPANIONS, HALF_LIFE_MS, companions_of
from headrace.keys import key
from headrace.positions.commit import Commit
from headrace.stream.step.covisits import BACKWARD, MAX_APART, SESSION_MS
from headrace.stream.step.partition import Partition, PartitionSettings

LATE_MS = 10**10  # when the logs arrive: after the longest of them
ITEMS = ("i1", "i2", "i3", "i4", "i5", "i6")


class Choice(NamedTuple):
    """A click of one user."""

    user: str
    item: str
    at_ms: int


@st.composite
def logs(draw: st.DrawFn) -> list[Choice]:
    at_ms, log = 0, []
    for _ in range(draw(st.integers(1, 30))):
        at_ms += draw(st.sampled_from([1, 60_000, SESSION_MS // 3, SESSION_MS, 30 * SESSION_MS]))
        log.append(Choice(draw(st.sampled_from("ab")), draw(st.sampled_from(ITEMS)), at_ms))
    return log


def recounted(log: list[Choice]) -> dict[str, dict[str, float]]:
    """Of each item its companions with their weights at the end of the log."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    end_ms = log[-1].at_ms
    for user in "ab":
        past = sorted({(c.at_ms, key(c.item), c.item) for c in log if c.user == user})
        for later, (at_ms, _, item) in enumerate(past):
            fading = 2 ** (-(end_ms - at_ms) / HALF_LIFE_MS)
            for apart in range(1, min(MAX_APART, later) + 1):
                before_ms, _, before = past[later - apart]
                if before != item and at_ms - before_ms <= SESSION_MS:
                    found[before][item] += fading / apart
                    found[item][before] += fading * BACKWARD / apart
    return found


def counted(stream: Stream, at_ms: int) -> dict[str, dict[str, float]]:
    table, names = stream.merged.tables[COMPANIONS], {key(item): item for item in ITEMS}
    ids = table.all_ids()
    key_QK, weight_QK = companions_of(table.states(table.find(ids)), START_MS + at_ms)
    return {
        item: {names[k]: w for k, w in zip(keys, weights, strict=True) if k}
        for item, keys, weights in zip(ids, key_QK.tolist(), weight_QK.tolist(), strict=True)
    }


def clicks(log: list[Choice]) -> list[Event]:
    return [click(one.item, user=one.user, at_ms=one.at_ms) for one in log]


@settings(max_examples=30, deadline=None)
@given(logs(), st.integers(1, 30))
def test_they_are_as_recounted_however_the_log_is_cut_into_steps(
    log: list[Choice], num: int
) -> None:
    stream, events = Stream(), clicks(log)
    while events:
        stream.send(*events[:num], at_ms=LATE_MS)
        events = events[num:]
    found, expected = counted(stream, log[-1].at_ms), recounted(log)
    assert found.keys() == expected.keys()
    for item, of_item in expected.items():
        assert found[item] == pytest.approx(of_item, rel=1e-4)
        assert [*found[item].values()] == sorted(found[item].values(), reverse=True)


def test_what_was_shown_or_hidden_only_is_nobodys_companion() -> None:
    stream = Stream()
    hides = ActionEvent("hides", START_MS + 2, "a", "i2", "hide")
    stream.send(click("i1", user="a", at_ms=1), hides, at_ms=LATE_MS)
    stream.send(known("r", [False, True], user="b"), at_ms=LATE_MS)
    assert counted(stream, 3) == {}
    stream.send(click("i3", user="a", at_ms=5), at_ms=LATE_MS)
    assert {item: {*of} for item, of in counted(stream, 5).items()} == {"i1": {"i3"}, "i3": {"i1"}}


def test_a_log_that_is_read_again_counts_once() -> None:
    log = [Choice("a", item, place) for place, item in enumerate(ITEMS)]
    stream = Stream()
    stream.send(*clicks(log), at_ms=LATE_MS)
    before = counted(stream, 10)
    rules = PartitionSettings(dedupe_window=100, click_window_ms=1_000)
    stream.partition, stream.offset = Partition(NUMBER, Commit(), stream.merged, rules), 0
    stream.send(*clicks(log), at_ms=LATE_MS)
    assert counted(stream, 10) == before and before


def test_a_choice_that_is_told_twice_counts_once() -> None:
    stream = Stream()
    stream.send(click("i1", at_ms=1), click("i2", at_ms=2), at_ms=LATE_MS)
    before = counted(stream, 2)
    stream.send(click("i2", at_ms=2), click("i1", at_ms=1), at_ms=LATE_MS)
    assert counted(stream, 2) == before and before["i1"] == {"i2": pytest.approx(1.0)}


def test_a_step_of_junk_has_none() -> None:
    stream = Stream()
    effects = stream.send(b"{", encode(known("r", [False])), at_ms=LATE_MS)
    assert COMPANIONS not in effects.changed.partials
    assert not np.any(stream.merged.tables[COMPANIONS].all_ids())
