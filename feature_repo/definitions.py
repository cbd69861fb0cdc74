"""What `feast apply` registers: the entities and views built from headrace's feature table."""

from headrace.features.views import (
    item,
    item_activity,
    item_activity_source,
    item_content,
    item_content_source,
    item_image_token,
    item_text_token,
    item_vector_token,
    user,
    user_activity,
    user_activity_source,
    user_profile,
    user_profile_source,
)

__all__ = [
    "item",
    "item_activity",
    "item_activity_source",
    "item_content",
    "item_content_source",
    "item_image_token",
    "item_text_token",
    "item_vector_token",
    "user",
    "user_activity",
    "user_activity_source",
    "user_profile",
    "user_profile_source",
]
