"""The definitions for `feast apply`: the entities and views built from headrace's feature table."""

from headrace.feast_adapter.views import (
    campaign,
    campaign_activity,
    campaign_activity_source,
    category,
    category_activity,
    category_activity_source,
    encoded_views,
    item,
    item_activity,
    item_activity_source,
    item_content,
    item_content_source,
    user,
    user_activity,
    user_activity_source,
    user_profile,
    user_profile_source,
)

__all__ = [
    "campaign",
    "campaign_activity",
    "campaign_activity_source",
    "category",
    "category_activity",
    "category_activity_source",
    "item",
    "item_activity",
    "item_activity_source",
    "item_content",
    "item_content_source",
    "user",
    "user_activity",
    "user_activity_source",
    "user_profile",
    "user_profile_source",
]

# Feast finds what a module names: one view for each modality.
globals().update({view.name: view for view in encoded_views})
