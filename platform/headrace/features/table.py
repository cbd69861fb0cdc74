"""The feature table: every streaming feature, defined once.

Stream update, online read, backfill, the Feast definitions and the documentation page all come from
these rows; adding a feature, or a cross, is adding a row. `headrace.features.schema` says what a
change of a row makes begin anew.
"""

from __future__ import annotations

from typing import Final

from headrace.action import TABLE, Action
from headrace.features.aggregation.accumulators import Decayed, Extremes, Lifetime, Newest, Tiles
from headrace.features.aggregation.aggregators import (
    Greatest,
    History,
    LogOf,
    LogSum,
    Mean,
    Part,
    Rate,
    SinceLast,
    SlotRates,
    TopKeys,
)
from headrace.features.aggregation.crosses import InCategories, OnSurface
from headrace.features.aggregation.facts import CLICK, COUNTED, SHOWN
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.aggregation.sequence import LastN, Recent, Session
from headrace.features.aggregation.sketches import BySlot, Distinct, TopItems
from headrace.keys import NUM_CATEGORY_SLOTS

FEATURED_ROWS: Final = tuple(row for row in TABLE if row.features)

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

USER: Final = "user"
ITEM: Final = "item"
CATEGORY: Final = "category"  # of items; authors count as categories
CAMPAIGN: Final = "campaign"
CANDIDATE: Final = "candidate"  # of a request: an item for a user, on a surface

HOUR: Final = Tiles(10 * MINUTE_MS, 6)
DAY: Final = Tiles(HOUR_MS, 24)
USER_DAY: Final = Tiles(2 * HOUR_MS, 12)  # half the bytes: there are many users
WEEK: Final = Tiles(DAY_MS, 7)
LIFE: Final = Lifetime(COUNTED)
LATELY: Final = Decayed(DAY_MS)
LAST: Final = LastN(64)
SESSION: Final = Session(LAST)
SLOTS: Final = BySlot(NUM_CATEGORY_SLOTS)
SLOT_RATES: Final = SlotRates(SLOTS)
TOP: Final = TopItems(8, CLICK)
ON_SURFACE: Final = OnSurface(Recent(LAST, LAST.length))
IN_CATEGORIES: Final = InCategories(SLOT_RATES)


def strength_of_last(action: Action) -> float:
    """How many impressions an action's prior is worth where only the last outcomes are read."""
    return 5.0 if action.is_rare else 2.0


def rates_ever(entity: str) -> tuple[Feature, ...]:
    """How often each action with features came of impressions of an entity."""
    return tuple(
        Feature(f"{entity}_{one.name}_rate", entity,
                Rate(one.name, LIFE, one.prior, 20.0 if one.is_rare else 10.0),
                f"{one.words} per impression, ever")
        for one in FEATURED_ROWS
    )  # fmt: skip


def rates_of_last(entity: str) -> tuple[Feature, ...]:
    """How often each action but the click, which has more rates, came of the last outcomes."""
    num = {one: 20 if one.is_rare else 10 for one in FEATURED_ROWS if one.name != CLICK}
    return tuple(
        Feature(f"{entity}_{one.name}_rate_last{num[one]}", entity,
                Rate(one.name, Recent(LAST, num[one]), one.prior, strength_of_last(one)),
                f"{one.words} per outcome, of the last {num[one]}")
        for one in num
    )  # fmt: skip


def rates_on_surface() -> tuple[Feature, ...]:
    """How often each action came of a user's last outcomes on the surface of a request."""
    of_what = f"of the user's last {LAST.length} those on the surface of the request"
    return tuple(
        Feature(f"user_surface_{one.name}_rate", CANDIDATE,
                Rate(one.name, ON_SURFACE, one.prior, strength_of_last(one)),
                f"{one.words} per outcome, {of_what if one.name == CLICK else 'of the same'}")
        for one in FEATURED_ROWS
    )  # fmt: skip


FEATURES: Final = (
    Feature("user_impressions_log", USER, LogSum(SHOWN, LIFE), "log(1 + items ever shown)"),
    *rates_ever(USER),
    Feature("user_click_rate_last3", USER, Rate(CLICK, Recent(LAST, 3), 0.5, 1),
            "clicks per outcome, of the last 3"),
    Feature("user_click_rate_last10", USER, Rate(CLICK, Recent(LAST, 10), 0.5, 2),
            "clicks per outcome, of the last 10"),
    Feature("user_click_rate_last20", USER, Rate(CLICK, Recent(LAST, 20), 0.5, 2),
            "clicks per outcome, of the last 20"),
    *rates_of_last(USER),
    Feature("user_click_rate_1h", USER, Rate(CLICK, HOUR), "clicks per impression, last hour"),
    Feature("user_click_rate_1d", USER, Rate(CLICK, USER_DAY), "clicks per impression, last day"),
    Feature("user_click_rate_7d", USER, Rate(CLICK, WEEK), "clicks per impression, last 7 days"),
    Feature("user_impressions_1h_log", USER, LogSum(SHOWN, HOUR), "log(1 + shown, last hour)"),
    Feature("user_impressions_1d_log", USER, LogSum(SHOWN, USER_DAY), "log(1 + shown, last day)"),
    Feature("user_idle_log", USER, SinceLast(Newest(SHOWN)), "log(1 + seconds since any)"),
    Feature("user_since_click_log", USER, SinceLast(Newest(CLICK)), "log(1 + seconds since one)"),
    Feature("user_session_length_log", USER, LogSum(SHOWN, SESSION),
            "log(1 + outcomes since the last pause of 30 minutes)"),
    Feature("user_session_click_rate", USER, Rate(CLICK, SESSION, 0.5, 2),
            "clicks per outcome since the last pause of 30 minutes"),
    Feature("item_impressions_log", ITEM, LogSum(SHOWN, LIFE), "log(1 + times shown)"),
    *rates_ever(ITEM),
    Feature("item_click_rate_1h", ITEM, Rate(CLICK, HOUR), "clicks per impression, last hour"),
    Feature("item_click_rate_1d", ITEM, Rate(CLICK, DAY), "clicks per impression, last day"),
    Feature("item_click_rate_7d", ITEM, Rate(CLICK, WEEK), "clicks per impression, last 7 days"),
    Feature("item_impressions_1d_log", ITEM, LogSum(SHOWN, DAY), "log(1 + times shown, last day)"),
    Feature("item_click_rate_lately", ITEM, Rate(CLICK, LATELY),
            "clicks per impression, each counting half after a day"),
    Feature("item_clicks_lately_log", ITEM, LogSum(CLICK, LATELY),
            "log(1 + clicks, each counting half after a day)"),
    Feature("item_idle_log", ITEM, SinceLast(Newest(SHOWN)), "log(1 + seconds since it was shown)"),
    Feature("item_value_max", ITEM, Part(Extremes(), 1), "the greatest value of an outcome",
            ranked=False, default=0.0),
    Feature("item_value_last", ITEM, Part(Extremes(), 2), "the latest value of an outcome",
            ranked=False, default=0.0),
    Feature("category_impressions_log", CATEGORY, LogSum(SHOWN, LIFE), "log(1 + items shown)",
            ranked=False),
    Feature("category_click_rate", CATEGORY, Rate(CLICK, LIFE), "clicks per impression, ever",
            ranked=False),
    Feature("category_click_rate_7d", CATEGORY, Rate(CLICK, WEEK), "the same, last 7 days",
            ranked=False),
    Feature("category_items_log", CATEGORY, LogOf(Distinct(256)), "log(1 + different items shown)",
            ranked=False),
    Feature("campaign_impressions_log", CAMPAIGN, LogSum(SHOWN, LIFE), "log(1 + times shown)",
            ranked=False),
    Feature("campaign_click_rate", CAMPAIGN, Rate(CLICK, LIFE, 0.02, 50), "clicks per impression",
            ranked=False),
    Feature("campaign_click_rate_1d", CAMPAIGN, Rate(CLICK, DAY, 0.02, 50), "the same, last day",
            ranked=False),
    Feature("user_category_rates", USER, SLOT_RATES,
            "click rate per category slot, centred on the user's", shape=(32,)),
    Feature("user_history", USER, History(LAST),
            "the last 64: item, age, outcome, position", shape=(4, 64)),
    Feature("category_top_items", CATEGORY, TopKeys(TOP), "the 3 items with the most clicks",
            shape=(3,)),
)  # fmt: skip

# Numbers of a user and a candidate together, made at each request: the ranker reads all of them.
CROSSES: Final = (
    *rates_on_surface(),
    Feature("category_rate_mean", CANDIDATE, Mean(IN_CATEGORIES),
            "the user's click rate in the candidate's categories, centred: their mean"),
    Feature("category_rate_max", CANDIDATE, Greatest(IN_CATEGORIES),
            "the greatest of the same"),
)  # fmt: skip

USER_LAYOUT: Final = Layout(USER, FEATURES, CROSSES)
ITEM_LAYOUT: Final = Layout(ITEM, FEATURES)
CATEGORY_LAYOUT: Final = Layout(CATEGORY, FEATURES)
CAMPAIGN_LAYOUT: Final = Layout(CAMPAIGN, FEATURES)
SHARED_LAYOUTS: Final = (ITEM_LAYOUT, CATEGORY_LAYOUT, CAMPAIGN_LAYOUT)  # not one partition's own
LAYOUTS: Final = (USER_LAYOUT, *SHARED_LAYOUTS)
