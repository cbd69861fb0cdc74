"""The feature table of this process: every streaming feature, a row each, made of features.yaml.

Stream update, online read, backfill, the Feast definitions and the documentation page all come from
these rows; adding a feature, or a cross, is adding a row to feature_repo/features.yaml, or to a
shop's own file (`headrace.features.definitions`). `headrace.features.schema` says what a change of
a row makes begin anew.
"""

from __future__ import annotations

from typing import Final, cast

from headrace.application.current import APPLICATION
from headrace.features.aggregation.accumulators import Decayed, Lifetime
from headrace.features.aggregation.layout import Layout
from headrace.features.aggregation.sequence import LastN
from headrace.features.aggregation.sketches import BySlot
from headrace.features.definitions.files import load, own_file
from headrace.features.definitions.rows import CAMPAIGN as CAMPAIGN
from headrace.features.definitions.rows import CANDIDATE as CANDIDATE
from headrace.features.definitions.rows import CATEGORY as CATEGORY
from headrace.features.definitions.rows import ITEM as ITEM
from headrace.features.definitions.rows import USER as USER

_DEFINITIONS: Final = load(own_file(APPLICATION.path), APPLICATION)
FEATURES: Final = _DEFINITIONS.features
# Numbers of a user and a candidate together, made at each request: the ranker reads all of them.
CROSSES: Final = _DEFINITIONS.crosses

USER_LAYOUT: Final = Layout(USER, FEATURES, CROSSES)
ITEM_LAYOUT: Final = Layout(ITEM, FEATURES, CROSSES)
CATEGORY_LAYOUT: Final = Layout(CATEGORY, FEATURES, CROSSES)
GROUP_LAYOUT: Final = Layout(CATEGORY, (), CROSSES)  # of categories and authors what crosses read
HAS_GROUPS: Final = bool(GROUP_LAYOUT.field_of)
CAMPAIGN_LAYOUT: Final = Layout(CAMPAIGN, FEATURES)
SHARED_LAYOUTS: Final = (ITEM_LAYOUT, CATEGORY_LAYOUT, CAMPAIGN_LAYOUT)  # not one partition's own
LAYOUTS: Final = (USER_LAYOUT, *SHARED_LAYOUTS)

# The accumulators that headrace reads itself, whatever a file says of their numbers.
LIFE: Final = cast(Lifetime, USER_LAYOUT.feature("user_impressions_log").aggregator.over)
LAST: Final = cast(LastN, USER_LAYOUT.feature("user_history").aggregator.over)
SLOTS: Final = cast(BySlot, USER_LAYOUT.feature("user_category_rates").aggregator.over)
LATELY: Final = cast(Decayed, ITEM_LAYOUT.feature("item_clicks_lately_log").aggregator.over)
