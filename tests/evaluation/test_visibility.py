"""Features of an evaluation: as of each row, from what was visible a minute before."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_log import ITEMS, START_MS, USERS, impression

from headrace.evaluation.days import Days
from headrace.evaluation.files.impressions import Impression
from headrace.evaluation.files.visibility import Observed, Observer
from headrace.evaluation.row import BEFORE, TEST, TRAIN, VISIBLE_AFTER_MS
from headrace.features.inputs import DENSE_NAMES

DAY_MS = 86_400_000
DAYS = Days("Asia/Shanghai")  # START_MS is a midnight there
OF_USER = [n for n, name in enumerate(DENSE_NAMES) if name.startswith("user_")]


@st.composite
def logs(draw: st.DrawFn) -> list[Impression]:
    """Rows of two days around a midnight, many of them within a minute of each other."""
    gaps = draw(st.lists(st.sampled_from([0, 1, 20_000, 59_999, 60_000, 3_600_000]), max_size=14))
    times_ms = np.cumsum([DAY_MS - 2 * 3_600_000, *gaps]).tolist()
    num_train = draw(st.integers(0, len(times_ms)))
    rows = []
    for number, at_ms in enumerate(times_ms):
        user, item = draw(st.integers(0, 2)), draw(st.integers(0, 3))
        split = TRAIN if number < num_train else TEST
        rows.append(impression(at_ms, user, item, draw(st.booleans()), split))
    return rows


def observe(rows: list[Impression], freeze: bool = False, chunk: int = 4_096) -> list[Observed]:
    return list(Observer(ITEMS, USERS, DAYS, freeze, chunk).observe(rows))


def visible(rows: list[Impression], by_ms: int) -> list[Impression]:
    """As rows from before the log, those whose outcomes are visible by then."""
    return [
        Impression(row.event, row.label_J, BEFORE)
        for row in rows
        if row.time_ms + VISIBLE_AFTER_MS <= by_ms
    ]


@settings(max_examples=40)
@given(logs())
def test_a_row_sees_the_outcomes_that_are_a_minute_old_and_no_others(
    rows: list[Impression],
) -> None:
    for row, observed in zip(rows, observe(rows), strict=True):
        (alone,) = observe([*visible(rows, row.time_ms), row])
        np.testing.assert_array_equal(observed.features.dense_NF, alone.features.dense_NF)
        np.testing.assert_array_equal(observed.features.history_3T, alone.features.history_3T)


@settings(max_examples=40)
@given(logs())
def test_at_midnight_a_user_is_who_they_were_when_the_day_began(rows: list[Impression]) -> None:
    for row, observed in zip(rows, observe(rows), strict=True):
        midnight_ms = row.time_ms - (row.time_ms - START_MS) % DAY_MS
        (alone,) = observe([*visible(rows, midnight_ms), row])
        np.testing.assert_array_equal(
            observed.at_midnight.dense_NF[:, OF_USER], alone.features.dense_NF[:, OF_USER]
        )
        np.testing.assert_array_equal(observed.at_midnight.history_3T, alone.features.history_3T)


@settings(max_examples=40)
@given(logs(), st.integers(1, 5))
def test_how_many_rows_are_worked_on_at_once_changes_nothing(
    rows: list[Impression], chunk: int
) -> None:
    for one, other in zip(observe(rows), observe(rows, chunk=chunk), strict=True):
        np.testing.assert_array_equal(one.features.dense_NF, other.features.dense_NF)
        np.testing.assert_array_equal(one.at_midnight.dense_NF, other.at_midnight.dense_NF)
        assert (one.num_of_user, one.num_of_item) == (other.num_of_user, other.num_of_item)


@settings(max_examples=40)
@given(logs())
def test_frozen_features_know_nothing_of_the_test(rows: list[Impression]) -> None:
    train = [row for row in rows if row.split == TRAIN]
    frozen = observe(rows, freeze=True)
    for row, observed in zip(rows, frozen, strict=True):
        if row.split == TEST:
            test_ms = next(row.time_ms for row in rows if row.split == TEST)
            (alone,) = observe([*visible(train, test_ms), row], freeze=True)
            np.testing.assert_array_equal(observed.features.dense_NF, alone.features.dense_NF)


def test_what_came_before_the_log_is_known_and_not_asked_for() -> None:
    before = impression(0, 0, 1, True, BEFORE)
    (observed,) = observe([before, impression(3_600_000, 0, 1, False, TRAIN)])
    assert observed.features.history_3T[0].astype(bool).sum() == 1
    assert (observed.num_of_user, observed.num_of_item) == (0, 0)
