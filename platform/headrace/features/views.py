"""Feast's view of the feature table: entities, sources and feature views.

Static views (`user_profile`, `item_content`) are materialized from the catalogue. Streaming views
(`user_activity`, `item_activity`) are pushed by the stream workers; beside the values as of the
last event their rows hold `state`, from which the values of any later time are computed. Token
views (`item_text_token`, ...) are materialized by `headrace encode`: an item's vector of one
modality, empty where there is none, and the encoder's version that made it.
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Array, Bytes, Float32, String

from headrace import config
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT, Layout

_CATALOGUE = config.catalogue_path(config.load())
_NEVER_EXPIRES = timedelta(0)


def _file(name: str) -> FileSource:
    path = str(_CATALOGUE / f"{name}.parquet")
    return FileSource(name=f"{name}_file", path=path, timestamp_field="event_timestamp")


def _streaming_schema(layout: Layout) -> list[Field]:
    values = [
        Field(name=row.name, dtype=Float32, description=row.description) for row in layout.dense
    ]
    return [*values, Field(name="state", dtype=Bytes, description="aggregator states")]


def token_view_name(modality: str) -> str:
    """The view of the items' tokens of a modality, and its source's file."""
    return f"item_{modality}_token"


def _token_view(modality: str) -> FeatureView:
    name = token_view_name(modality)
    return FeatureView(
        name=name,
        entities=[item],
        ttl=_NEVER_EXPIRES,
        schema=[
            Field(name="token", dtype=Array(Float32)),
            Field(name="encoder", dtype=String, description="<encoder>/<version>"),
        ],
        source=_file(name),
    )


user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)

user_profile_source = _file("users")
item_content_source = _file("items")
user_activity_source = PushSource(name="user_activity_push", batch_source=_file("user_activity"))
item_activity_source = PushSource(name="item_activity_push", batch_source=_file("item_activity"))

user_profile = FeatureView(
    name="user_profile",
    entities=[user],
    ttl=_NEVER_EXPIRES,
    schema=[Field(name="attributes", dtype=Array(String))],
    source=user_profile_source,
)
item_content = FeatureView(
    name="item_content",
    entities=[item],
    ttl=_NEVER_EXPIRES,
    schema=[
        Field(name="title", dtype=String),
        Field(name="categories", dtype=Array(String)),
        Field(name="attributes", dtype=Array(String)),
    ],
    source=item_content_source,
)
user_activity = FeatureView(
    name="user_activity",
    entities=[user],
    ttl=_NEVER_EXPIRES,
    schema=_streaming_schema(USER_LAYOUT),
    source=user_activity_source,
)
item_activity = FeatureView(
    name="item_activity",
    entities=[item],
    ttl=_NEVER_EXPIRES,
    schema=_streaming_schema(ITEM_LAYOUT),
    source=item_activity_source,
)
item_text_token, item_image_token, item_vector_token = map(_token_view, ("text", "image", "vector"))
