"""Feast's entities, sources and feature views, made from headrace's own views.

The batch sources of streaming views are the folders that `headrace archive` and `headrace backfill`
write: the same rows over time, but `state`. Those of items and users are their history, those of
vectors files of the catalogue.
"""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import from_value_type

from headrace import config
from headrace.catalogue.content import MODALITIES
from headrace.features.online.views import (
    ITEM_CONTENT,
    USER_PROFILE,
    View,
    activity_view,
    vector_view,
)
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
from headrace.paths import documents_path, rows_path

_SETTINGS = config.load()


def _entity(name: str) -> Entity:
    return Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING)


user, item = _entity(USER), _entity(ITEM)
category, campaign = _entity(CATEGORY), _entity(CAMPAIGN)
_ENTITIES = {entity.name: entity for entity in (user, item, category, campaign)}


def _history(kind: str) -> FileSource:
    """The history of items or users."""
    path = str(documents_path(_SETTINGS, kind))
    return FileSource(name=f"{kind}s_file", path=path, timestamp_field="event_timestamp")


def _file(name: str) -> FileSource:
    path = config.catalogue_path(_SETTINGS) / f"{name}.parquet"
    return FileSource(name=f"{name}_file", path=str(path), timestamp_field="event_timestamp")


def _pushed(view: View) -> PushSource:
    """What fresh rows of a streaming view are pushed into, before its log."""
    path = str(rows_path(_SETTINGS, view.entity))
    log = FileSource(name=f"{view.entity}_rows", path=path, timestamp_field="event_timestamp")
    return PushSource(name=f"{view.name}_push", batch_source=log)


def _view(view: View, source: FileSource | PushSource) -> FeatureView:
    columns = [
        Field(
            name=column.name,
            dtype=from_value_type(ValueType[column.type]),
            description=column.description,
        )
        for column in view.columns
    ]
    return FeatureView(
        name=view.name,
        entities=[_ENTITIES[view.entity]],
        ttl=timedelta(seconds=view.ttl_s),
        schema=columns,
        source=source,
    )


def _vector_view(modality: str) -> FeatureView:
    view = vector_view(modality)
    return _view(view, _file(view.name))


_USERS, _ITEMS = activity_view(USER_LAYOUT), activity_view(ITEM_LAYOUT)
_CATEGORIES, _CAMPAIGNS = activity_view(CATEGORY_LAYOUT), activity_view(CAMPAIGN_LAYOUT)

user_profile_source, item_content_source = _history(USER), _history(ITEM)
user_profile = _view(USER_PROFILE, user_profile_source)
item_content = _view(ITEM_CONTENT, item_content_source)
user_activity_source, item_activity_source = _pushed(_USERS), _pushed(_ITEMS)
user_activity = _view(_USERS, user_activity_source)
item_activity = _view(_ITEMS, item_activity_source)
category_activity_source, campaign_activity_source = _pushed(_CATEGORIES), _pushed(_CAMPAIGNS)
category_activity = _view(_CATEGORIES, category_activity_source)
campaign_activity = _view(_CAMPAIGNS, campaign_activity_source)
encoded_views = tuple(map(_vector_view, MODALITIES))
