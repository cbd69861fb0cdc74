"""The online stores that the contract holds for, and a small Feast repository on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, ValueType
from feast.repo_config import RepoConfig
from feast.types import FeastType

STOCK_REDIS = "redis"
STOCK_SQLITE = "sqlite"
PACKED = "headrace.feast_adapter.online_store.PackedRedisOnlineStore"
BACKENDS = (STOCK_REDIS, STOCK_SQLITE, PACKED)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)


@dataclass
class Repo:
    """A Feast repository of its own in `folder`, on one online store."""

    kind: str
    folder: Path
    online_store: dict[str, Any]
    project: str = "contract"
    views: dict[str, FeatureView] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = FeatureStore(
            config=RepoConfig(
                project=self.project,
                provider="local",
                registry={"path": str(self.folder / "registry.db"), "cache_ttl_seconds": 0},
                online_store={"type": self.kind, **self.online_store},
                entity_key_serialization_version=3,
            )
        )

    def view(
        self,
        name: str,
        features: dict[str, FeastType],
        entities: Sequence[Entity] = (user,),
        ttl: timedelta = timedelta(0),
    ) -> FeatureView:
        """Define a view over a file of its own, with a push source named `<name>_push`."""
        file = FileSource(
            name=f"{name}_file", path=str(self.path(name)), timestamp_field="event_timestamp"
        )
        self.views[name] = FeatureView(
            name=name,
            entities=list(entities),
            ttl=ttl,
            schema=[Field(name=feature, dtype=dtype) for feature, dtype in features.items()],
            source=PushSource(name=f"{name}_push", batch_source=file),
        )
        return self.views[name]

    def apply(self, *removed: FeatureView) -> None:
        """What `feast apply` does with the views defined so far, but for those removed."""
        for view in removed:
            del self.views[view.name]
        sources = [view.stream_source for view in self.views.values()]
        self.store.apply(
            [user, shop, *sources, *self.views.values()],
            objects_to_delete=list(removed),
            partial=not removed,
        )

    def path(self, view: str) -> Path:
        """The file of a view."""
        return self.folder / f"{view}.parquet"

    def write_file(self, view: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        """Put rows into a view's file, for materialization."""
        times = ("event_timestamp", pa.timestamp("us", tz="UTC"))
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([*schema, times])), self.path(view))

    def write(self, view: str, **columns: Sequence[Any]) -> None:
        """`write_to_online_store` of these columns; rows are of NOON unless they say when."""
        self.store.write_to_online_store(view, frame(columns))

    def push(self, view: str, **columns: Sequence[Any]) -> None:
        """`push` of these columns to a view's push source."""
        self.store.push(f"{view}_push", frame(columns))

    def read(self, features: list[str], **ids: Sequence[Any]) -> dict[str, list[Any]]:
        """`get_online_features` as columns."""
        rows = [dict(zip(ids, values, strict=True)) for values in zip(*ids.values(), strict=True)]
        return self.store.get_online_features(features=features, entity_rows=rows).to_dict()

    async def close(self) -> None:
        """Close what the running event loop has opened."""
        online = self.store._get_provider().online_store
        if self.kind == STOCK_REDIS:  # Feast leaves it open
            await online._client_async.aclose()
        await online.close()

    def statuses(self, features: list[str], **ids: Sequence[Any]) -> list[list[int]]:
        """The statuses of each feature's column."""
        rows = [dict(zip(ids, values, strict=True)) for values in zip(*ids.values(), strict=True)]
        proto = self.store.get_online_features(features=features, entity_rows=rows).proto
        by_name = dict(zip(proto.metadata.feature_names.val, proto.results, strict=True))
        return [list(by_name[name.split(":")[1]].statuses) for name in features]


def frame(columns: dict[str, Sequence[Any]]) -> pd.DataFrame:
    """Columns as Feast takes them."""
    length = len(next(iter(columns.values())))
    times = columns.get("event_timestamp", [NOON] * length)
    return pd.DataFrame({**columns, "event_timestamp": pd.to_datetime(list(times), utc=True)})
