"""Cases: the samples of a dataset as of their own time, with outcomes hidden for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_log import ITEMS, START_MS, USERS, impression

from headrace.catalogue.item import Dataset
from headrace.config import Settings
from headrace.evaluation.dataset.cases import Case, Cases, Terms
from headrace.evaluation.days import Days
from headrace.evaluation.files.impressions import Impression
from headrace.evaluation.files.visibility import Observer
from headrace.evaluation.row import TEST, TRAIN, VISIBLE_AFTER_MS
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent, Shown

SETTINGS = Settings()
WINDOW_MS = int(1_000 * SETTINGS.stream.click_window_s)
DAY_MS = 86_400_000
DAYS = Days("Asia/Shanghai")  # START_MS is a midnight there
TEST_MS = START_MS + DAY_MS
TERMS = Terms(("click", "like"), TEST_MS, DAYS)


def dataset(events: Sequence[Event]) -> Dataset:
    times_ms = [event.event_time_ms for event in events] or [START_MS]
    items, users = tuple(ITEMS.values()), tuple(USERS.values())
    return Dataset(
        "small", items, users, lambda: iter(events), len(events), times_ms[0], times_ms[-1]
    )


def cases(events: Sequence[Event], terms: Terms = TERMS, step: int = 4_096) -> list[Case]:
    return list(Cases(dataset(events), SETTINGS, terms, step))


@st.composite
def logs(draw: st.DrawFn) -> list[ImpressionEvent]:
    """Impressions with their outcomes, around a midnight, many within a minute of each other."""
    gaps = draw(st.lists(st.sampled_from([0, 1, 20_000, 59_999, 60_000, 3_600_000]), max_size=14))
    times_ms = np.cumsum([DAY_MS - 2 * 3_600_000, *gaps]).tolist()
    rows = {
        (at_ms, draw(st.integers(0, 2)), draw(st.integers(0, 3))): draw(st.booleans())
        for at_ms in times_ms
    }
    return [impression(*row, clicked, split="").event for row, clicked in rows.items()]


@settings(max_examples=40)
@given(logs(), st.booleans())
def test_a_case_reads_what_a_row_of_a_file_reads(
    events: list[ImpressionEvent], frozen: bool
) -> None:
    splits = [TEST if event.event_time_ms >= TEST_MS else TRAIN for event in events]
    test_ms = [event.event_time_ms for event in events if event.event_time_ms >= TEST_MS]
    rows = [Impression(event, (), split) for event, split in zip(events, splits, strict=True)]
    terms = replace(TERMS, test_ms=min(test_ms, default=TEST_MS), frozen=frozen)
    observed = Observer(ITEMS, USERS, DAYS, frozen).observe(rows)
    for case, row in zip(cases(events, terms), observed, strict=True):
        assert (case.time_ms, case.split, case.day) == (row.time_ms, row.split, row.day)
        assert (case.num_of_user, case.num_of_items) == (row.num_of_user, row.num_of_items)
        assert case.visible_ms == row.visible_ms and case.user_key == row.user_key
        np.testing.assert_array_equal(case.sample.dense_NF, row.features.dense_NF)
        np.testing.assert_array_equal(case.sample.history_3T, row.features.history_3T)
        assert case.sample.user_word_keys == row.user_words
        if case.split == TEST:
            late = row.at_midnight
            np.testing.assert_array_equal(case.at_midnight.dense_NF, late.dense_NF)
            np.testing.assert_array_equal(case.at_midnight.history_3T, late.history_3T)


@settings(max_examples=40)
@given(logs(), st.integers(1, 5))
def test_how_many_events_are_worked_on_at_once_changes_nothing(
    events: list[ImpressionEvent], step: int
) -> None:
    for one, other in zip(cases(events), cases(events, step=step), strict=True):
        assert (one.sample, one.at_midnight) == (other.sample, other.at_midnight)
        assert one.num_of_items == other.num_of_items


def test_a_copy_of_an_event_is_no_second_case() -> None:
    event = impression(0, 0, 1, True, "").event
    assert len(cases([event, event])) == 1


def open_impression(at_ms: int, user: str, request: str, *items: str) -> ImpressionEvent:
    shown = tuple(Shown(item, place) for place, item in enumerate(items))
    return ImpressionEvent(f"e-{request}", START_MS + at_ms, user, request, shown)


def test_outcomes_that_come_later_are_joined_and_asked_for_in_the_order_of_time() -> None:
    told = impression(1_000, 1, 2, True, "").event
    events = [
        open_impression(0, "0", "r1", "0", "1", "3"),
        told,
        ClickEvent("c1", START_MS + 2_000, "0", "1", "r1"),
        ActionEvent("a1", START_MS + 3_000, "0", "3", "like", request_id="r1"),
        ClickEvent("c2", START_MS + WINDOW_MS, "0", "0", "r1"),  # too late
        open_impression(WINDOW_MS + 1, "0", "r2", "2"),
    ]
    first, second, third, last = cases(events)
    assert [case.sample.request_id for case in (first, second, last)] == [
        "r1", told.request_id, "r2"
    ]  # fmt: skip
    assert first.label_NJ.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert first.num_of_items == (0, 0, 0) and last.num_of_items == (1,)
    assert first.visible_ms == START_MS + WINDOW_MS
    assert second.visible_ms == told.event_time_ms + VISIBLE_AFTER_MS
    assert second.label_NJ[:, 0].tolist() == [1] and last.label_NJ.tolist() == [[0, 0]]
    # A click that belongs to no impression is learned from, and judges nothing.
    assert third.sample.item_keys != () and np.isnan(third.label_NJ).all()
    assert last.num_of_user == 3


def test_an_action_that_the_log_does_not_tell_of_has_no_label() -> None:
    shown = (Shown("1", clicked=True),)
    (case,) = cases([ImpressionEvent("e", START_MS, "0", "r", shown)])
    assert case.label_NJ[0, 0] == 1 and np.isnan(case.label_NJ[0, 1])
