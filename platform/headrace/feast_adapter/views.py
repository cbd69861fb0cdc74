"""Feast's view of the feature table: entities, sources and feature views.

Static views (`user_profile`, `item_content`) are materialized from the catalogue. Streaming views
(`<entity>_activity`) are pushed by the stream workers; beside the values as of the last event their
rows hold `state`, from which the values of any later time are computed. Their batch sources are the
folders that `headrace archive` and `headrace backfill` write: the same rows over time, but `state`.
Vector views (`item_text_encoded`, ...) are materialized by `headrace encode`: an item's vector of
one modality, empty where there is none, and the encoder's version that made it.
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Array, Bytes, Float32, String

from headrace import config
from headrace.catalogue.content import MODALITIES
from headrace.features.aggregation.layout import Layout
from headrace.features.table import (
    CAMPAIGN,
    CAMPAIGN_LAYOUT,
    CATEGORY,
    CATEGORY_LAYOUT,
    ITEM,
    ITEM_LAYOUT,
    USER,
    USER_LAYOUT,
)
from headrace.paths import rows_path

_SETTINGS = config.load()
_NEVER_EXPIRES = timedelta(0)


def _file(name: str) -> FileSource:
    path = config.catalogue_path(_SETTINGS) / f"{name}.parquet"
    return FileSource(name=f"{name}_file", path=str(path), timestamp_field="event_timestamp")


def _log(entity: str) -> FileSource:
    path = str(rows_path(_SETTINGS, entity))
    return FileSource(name=f"{entity}_rows", path=path, timestamp_field="event_timestamp")


def _entity(name: str) -> Entity:
    return Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING)


def _activity(layout: Layout, entity: Entity) -> tuple[PushSource, FeatureView]:
    """The push source and the view of an entity's streaming features."""
    source = PushSource(name=f"{layout.view}_push", batch_source=_log(layout.entity))
    numbers = [
        Field(name=row.name, dtype=Float32, description=row.description) for row in layout.numbers
    ]
    state = Field(name="state", dtype=Bytes, description="what all values are made from")
    ttls = [row.ttl_s for row in layout.features]  # a row lives as long as any value of it
    ttl = timedelta(seconds=max(ttls)) if all(ttls) else _NEVER_EXPIRES
    return source, FeatureView(
        name=layout.view, entities=[entity], ttl=ttl, schema=[*numbers, state], source=source
    )


def vector_view_name(modality: str) -> str:
    """The view of the items' content vectors of a modality, and its source's file."""
    return f"item_{modality}_encoded"


def _vector_view(modality: str) -> FeatureView:
    name = vector_view_name(modality)
    return FeatureView(
        name=name,
        entities=[item],
        ttl=_NEVER_EXPIRES,
        schema=[
            Field(name="vector", dtype=Array(Float32)),
            Field(name="encoder", dtype=String, description="<encoder>/<version>"),
        ],
        source=_file(name),
    )


user, item = _entity(USER), _entity(ITEM)
category, campaign = _entity(CATEGORY), _entity(CAMPAIGN)

user_profile_source, item_content_source = _file("users"), _file("items")
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
user_activity_source, user_activity = _activity(USER_LAYOUT, user)
item_activity_source, item_activity = _activity(ITEM_LAYOUT, item)
category_activity_source, category_activity = _activity(CATEGORY_LAYOUT, category)
campaign_activity_source, campaign_activity = _activity(CAMPAIGN_LAYOUT, campaign)
encoded_views = tuple(map(_vector_view, MODALITIES))
