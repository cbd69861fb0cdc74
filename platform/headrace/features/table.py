"""The feature table: every streaming feature, defined once.

Stream update, online read, backfill, the Feast definitions and the documentation page all come from
these rows; adding a feature, or a cross, is adding a row. `headrace.features.schema` says what a
change of a row makes begin anew.
"""

from __future__ import annotations

from typing import Final

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
from headrace.features.aggregation.facts import CLICK, LIKE, LONG_VIEW, SHOWN
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.aggregation.sequence import LastN, Recent, Session
from headrace.features.aggregation.sketches import BySlot, Distinct, TopItems

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
LIFE: Final = Lifetime((SHOWN, CLICK, LIKE, LONG_VIEW))
LATELY: Final = Decayed(DAY_MS)
LAST: Final = LastN(64)
SESSION: Final = Session(LAST)
SLOTS: Final = BySlot(32)
SLOT_RATES: Final = SlotRates(SLOTS)
TOP: Final = TopItems(8, CLICK)
ON_SURFACE: Final = OnSurface(Recent(LAST, LAST.length))
IN_CATEGORIES: Final = InCategories(SLOT_RATES)

FEATURES: Final = (
    Feature("user_impressions_log", USER, LogSum(SHOWN, LIFE), "log(1 + items ever shown)"),
    Feature("user_click_rate", USER, Rate(CLICK, LIFE), "clicks per impression, ever"),
    Feature("user_like_rate", USER, Rate(LIKE, LIFE, 0.02, 20), "likes per impression, ever"),
    Feature("user_long_view_rate", USER, Rate(LONG_VIEW, LIFE, 0.3), "long views per impression"),
    Feature("user_click_rate_last3", USER, Rate(CLICK, Recent(LAST, 3), 0.5, 1),
            "clicks per outcome, of the last 3"),
    Feature("user_click_rate_last10", USER, Rate(CLICK, Recent(LAST, 10), 0.5, 2),
            "clicks per outcome, of the last 10"),
    Feature("user_click_rate_last20", USER, Rate(CLICK, Recent(LAST, 20), 0.5, 2),
            "clicks per outcome, of the last 20"),
    Feature("user_like_rate_last20", USER, Rate(LIKE, Recent(LAST, 20), 0.02, 5),
            "likes per outcome, of the last 20"),
    Feature("user_long_view_rate_last10", USER, Rate(LONG_VIEW, Recent(LAST, 10), 0.3, 2),
            "long views per outcome, of the last 10"),
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
    Feature("item_click_rate", ITEM, Rate(CLICK, LIFE), "clicks per impression, ever"),
    Feature("item_like_rate", ITEM, Rate(LIKE, LIFE, 0.02, 20), "likes per impression, ever"),
    Feature("item_long_view_rate", ITEM, Rate(LONG_VIEW, LIFE, 0.3), "long views per impression"),
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
    Feature("user_surface_click_rate", CANDIDATE, Rate(CLICK, ON_SURFACE, 0.5, 2),
            "clicks per outcome, of the user's last 64 those on the surface of the request"),
    Feature("user_surface_like_rate", CANDIDATE, Rate(LIKE, ON_SURFACE, 0.02, 5),
            "likes per outcome, of the same"),
    Feature("user_surface_long_view_rate", CANDIDATE, Rate(LONG_VIEW, ON_SURFACE, 0.3, 2),
            "long views per outcome, of the same"),
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
