"""Whether the numbers of states are possible, looked at together as one by one."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.features.aggregation.floats import EXTREMES, MAX_SUM, floats_in
from headrace.features.aggregation.layout import FEW
from headrace.features.table import LAYOUTS, USER_LAYOUT

WRONG = (np.nan, np.inf, -np.inf, 10 * MAX_SUM, -10 * MAX_SUM)


@pytest.mark.parametrize("num", [0, 1, 2, FEW, FEW + 1, 50])
def test_new_states_are_possible_however_many(num: int) -> None:
    for layout in LAYOUTS:
        assert layout.are_possible(layout.new(num))


@pytest.mark.parametrize("num", [1, 3, FEW, FEW + 3])
@pytest.mark.parametrize("wrong", WRONG)
def test_one_number_that_cannot_be_is_found(num: int, wrong: float) -> None:
    for layout in LAYOUTS:
        for floats in floats_in(layout.dtype):
            for byte_b in floats.byte_nb[:: max(1, len(floats.byte_nb) // 7)]:
                states = layout.new(num)
                view = states.view(np.uint8).reshape(num, -1)
                view[num - 1, byte_b] = np.array([wrong], floats.dtype).view(np.uint8)
                possible = floats.are_extremes and not np.isnan(wrong)
                assert layout.are_possible(states) == possible


def test_extremes_are_told_apart_and_views_of_records_are_read() -> None:
    dtype = np.dtype([("a", "<i4"), ("b", [(name, "<f4") for name in sorted(EXTREMES)])])
    (extremes,) = floats_in(dtype)
    assert extremes.are_extremes and len(extremes.byte_nb) == 3
    rows = np.zeros(4, [("head", "<i8"), ("state", USER_LAYOUT.dtype)])
    assert USER_LAYOUT.are_possible(rows["state"]) and USER_LAYOUT.are_possible(rows["state"][::2])
