"""Descriptions: each feature of the table can say what it is, and the page says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.features import description
from headrace.features.aggregation.accumulators import Decayed, Extremes, Lifetime, Newest, Tiles
from headrace.features.aggregation.aggregators import (
    History,
    LogOf,
    Part,
    Rate,
    SinceLast,
    Sum,
    TopKeys,
)
from headrace.features.aggregation.facts import ACTIONS, CLICK, SHOWN
from headrace.features.aggregation.layout import Feature
from headrace.features.aggregation.sequence import LastN, Recent, Session
from headrace.features.aggregation.sketches import Distinct
from headrace.features.aggregation.top_items import TopItems
from headrace.features.table import CROSSES, FEATURES, USER_LAYOUT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"
ROWS = (*FEATURES, *CROSSES)
BY_NAME = {feature.name: feature for feature in ROWS}
HOUR_MS = 3_600_000


def of(aggregator: object) -> Feature:
    return Feature("it", "user", aggregator, "a feature")  # type: ignore[arg-type]


@pytest.mark.parametrize("feature", ROWS, ids=lambda feature: str(feature.name))
def test_every_question_about_a_feature_has_an_answer(feature: Feature) -> None:
    cells = description.describe(feature).cells()
    assert len(cells) == len(description.HEADINGS) and all(cells)
    assert all(text for _, text in description.details(feature))


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (Lifetime(), "all time"),
        (Tiles(HOUR_MS // 6, 6), "last 1 h, by 10 min"),
        (Tiles(24 * HOUR_MS, 7), "last 7 d, by 1 d"),
        (Decayed(36 * HOUR_MS), "half-life 36 h"),
        (Recent(LastN(64), 3), "last 3 outcomes"),
        (Session(LastN(64)), "since the last pause of 30 min"),
    ],
)
def test_the_window_is_said_in_the_greatest_unit_that_fits(over: object, expected: str) -> None:
    assert description.window(of(Rate(CLICK, over))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("aggregator", "expected"),
    [
        (Sum(SHOWN, Lifetime()), ["impression", "click"]),
        (Rate("like", Lifetime((SHOWN, "like"))), ["impression", "click", "action:like"]),
        (SinceLast(Newest("like")), ["impression", "action:like"]),
        (TopKeys(TopItems(8, CLICK)), ["impression", "click"]),
        (LogOf(Distinct()), ["impression", "click"]),
        (History(LastN()), ["impression", "click", *(f"action:{name}" for name in ACTIONS[1:])]),
        (Sum("amount", Lifetime(("amount",))), ["impression", "action:purchase"]),
        (Part(Extremes(), 1), ["impression", "action:like", "action:long_view"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_source_events_are_those_that_carry_the_measures(
    aggregator: object, expected: list[str]
) -> None:
    assert description.source_events(of(aggregator)) == expected


def test_features_over_one_accumulator_name_each_other() -> None:
    recent = BY_NAME["user_click_rate_last3"]
    assert "user_history" in description.sharing(recent)
    assert "user_click_rate_last3" in description.sharing(BY_NAME["user_history"])
    assert "user_click_rate_last3" not in description.sharing(recent)
    of_categories = ["category_rate_mean", "category_rate_max"]
    assert description.sharing(BY_NAME["user_category_rates"]) == of_categories


def test_the_details_name_size_type_and_the_value_before_any_event() -> None:
    details = dict(description.details(BY_NAME["user_click_rate"]))
    size = USER_LAYOUT.dtype.itemsize
    assert details["state"] == f"32 of the {size:,} bytes of a state"
    assert (details["type"], details["before any event"]) == ("float32", "0.5")
    assert details["view"] == "user_activity"
    assert dict(description.details(BY_NAME["user_history"]))["type"] == "int64[4, 64]"


def test_the_page_is_what_the_table_says() -> None:
    page = description.to_markdown([description.describe(feature) for feature in ROWS])
    assert PAGE.read_text() == f"{page}\n", (
        "write it anew: headrace features list --markdown > docs/features.md"
    )
