"""The feature table: what every row of it must be, and what its states cost."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from plain_facts import START_MS, Fact, columns

from headrace.features.aggregation.layout import Layout
from headrace.features.rows.state_row import row_dtype
from headrace.features.table import (
    CATEGORY_LAYOUT,
    FEATURES,
    ITEM_LAYOUT,
    LAYOUTS,
    USER_LAYOUT,
)

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MAX_USER_ROW_BYTES = 2_000  # 100 million users are then 200 GB

layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.entity)


def test_every_feature_has_a_name_of_its_own_that_begins_with_its_entity() -> None:
    assert max(Counter(feature.name for feature in FEATURES).values()) == 1
    for feature in FEATURES:
        assert feature.name.startswith(f"{feature.entity}_"), feature.name


def test_every_feature_says_what_it_is() -> None:
    for feature in FEATURES:
        assert feature.description.strip(), feature.name


def test_every_feature_belongs_to_one_layout() -> None:
    of_layouts = [feature.name for layout in LAYOUTS for feature in layout.features]
    assert sorted(of_layouts) == sorted(feature.name for feature in FEATURES)
    for layout in LAYOUTS:
        assert {feature.entity for feature in layout.features} == {layout.entity}


def test_the_row_of_a_user_fits_its_memory() -> None:
    assert row_dtype(USER_LAYOUT).itemsize <= MAX_USER_ROW_BYTES


@layouts
def test_all_numbers_are_finite_for_an_entity_never_seen(layout: Layout) -> None:
    assert np.isfinite(layout.number_values(layout.new(1), np.array([START_MS]))).all()


def test_an_outcome_without_a_value_leaves_the_default() -> None:
    assert value(ITEM_LAYOUT, "item_value_max", [Fact(click=1.0)]) == 0.0
    assert value(ITEM_LAYOUT, "item_value_max", [Fact(value=-2.0)]) == -2.0


def value(layout: Layout, name: str, log: list[Fact], after_ms: int = 0) -> float:
    state_1 = layout.new(1)
    layout.add(state_1, columns(log))
    return float(layout.value(name, state_1, np.array([START_MS + after_ms]))[0])


def test_windows_are_as_long_as_their_names_say() -> None:
    log = [Fact(click=1.0)]
    for layout in (USER_LAYOUT, ITEM_LAYOUT):
        for window, length_ms in (("1h", HOUR_MS), ("1d", DAY_MS), ("7d", 7 * DAY_MS)):
            name = f"{layout.entity}_click_rate_{window}"
            assert value(layout, name, log, length_ms // 2) > 0.5
            assert value(layout, name, log, length_ms) == 0.5


def test_a_user_who_pauses_for_half_an_hour_starts_a_session() -> None:
    minute_ms = HOUR_MS // 60
    log = [Fact(time_ms=START_MS + minutes * minute_ms) for minutes in (0, 29, 60, 61)]
    lengths = [
        value(USER_LAYOUT, "user_session_length_log", log, minutes * minute_ms)
        for minutes in (61, 90, 91)
    ]
    assert np.expm1(lengths) == pytest.approx([2, 2, 0])


def test_a_category_names_its_most_clicked_items() -> None:
    log = [Fact(item=item, click=1.0) for item in (4, 9, 9, 7, 9, 4)]
    state_1 = CATEGORY_LAYOUT.new(1)
    CATEGORY_LAYOUT.add(state_1, columns(log))
    top_1k = CATEGORY_LAYOUT.value("category_top_items", state_1, np.array([START_MS]))
    assert top_1k.tolist() == [[9, 4, 7]]
    assert np.expm1(value(CATEGORY_LAYOUT, "category_items_log", log)) == pytest.approx(3, abs=0.1)
