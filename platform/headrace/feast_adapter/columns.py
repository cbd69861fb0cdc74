"""Columns of the views of any Feast store: its packed rows without a protobuf or a table."""

from __future__ import annotations

from collections.abc import Callable

from feast import FeatureStore

from headrace.clock import now_ms
from headrace.errors import FeatureError
from headrace.feast_adapter.online_store import PackedRedisOnlineStore
from headrace.feast_adapter.request import view_of
from headrace.features.store.columns import ColumnStore


def columns_of(feast: FeatureStore, clock: Callable[[], int] = now_ms) -> ColumnStore:
    """All views of a Feast store whose online store is `PackedRedisOnlineStore`."""
    online = feast._get_provider().online_store
    if not isinstance(online, PackedRedisOnlineStore):
        raise FeatureError(
            f"the online store is {type(online).__name__}, expected PackedRedisOnlineStore: "
            "set online_store.type in feature_store.yaml"
        )
    views = {view.name: view_of(feast.config, view) for view in feast.list_all_feature_views()}
    options = feast.config.online_store
    return ColumnStore(online._get_client(options), views, clock, options.key_ttl_seconds or 0)
