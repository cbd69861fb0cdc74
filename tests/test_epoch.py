"""Epoch times: one rule tells in which unit a number is, and when a record arrived."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.epoch import (
    EARLIEST_S,
    LATEST_S,
    MAX_SKEW_MS,
    PER_SECOND,
    arrival_ms,
    mistaken_unit,
    unit_of,
)

NOW_MS = 1_714_554_000_000


@given(st.integers(EARLIEST_S, LATEST_S - 1), st.sampled_from(sorted(PER_SECOND)))
def test_a_time_of_these_years_is_known_in_each_unit_and_taken_for_no_other(
    time_s: int, unit: str
) -> None:
    assert unit_of(time_s * PER_SECOND[unit]) == unit
    assert mistaken_unit(time_s * PER_SECOND[unit], unit) is None
    for other in PER_SECOND.keys() - {unit}:
        assert mistaken_unit(time_s * PER_SECOND[unit], other) == unit


@pytest.mark.parametrize("number", [-1, 0, 10**6, 10**30, float("nan"), float("inf")])
def test_a_number_that_is_no_time_has_no_unit(number: float) -> None:
    assert unit_of(number) is None and mistaken_unit(number) is None


@pytest.mark.parametrize("unit", sorted(PER_SECOND))
def test_a_record_arrived_when_its_stamp_says_in_whichever_unit(unit: str) -> None:
    stamp = NOW_MS * PER_SECOND[unit] // 1_000
    assert arrival_ms(stamp, NOW_MS) == arrival_ms(stamp, NOW_MS + 10**9) == NOW_MS


@pytest.mark.parametrize(
    "stamp", [-1, 0, NOW_MS + MAX_SKEW_MS + 1, NOW_MS * 1_000 + 10**10, 10**30]
)
def test_a_record_whose_stamp_is_none_or_lies_ahead_arrived_now(stamp: int) -> None:
    assert arrival_ms(stamp, NOW_MS) == NOW_MS


def test_what_the_clocks_of_two_machines_differ_by_is_believed() -> None:
    assert arrival_ms(NOW_MS + MAX_SKEW_MS, NOW_MS) == NOW_MS + MAX_SKEW_MS
