"""Entity frames of every kind that Feast's own store of files takes, and rows to join them with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    ValueType,
)
from feast.types import Float32, Int64, String

START = datetime(2024, 5, 1, tzinfo=UTC)
OURS = "headrace.feast_adapter.offline_store.AsOfOfflineStore"
FILES: dict[str, dict[str, Any]] = {
    "users": {
        "user_id": ["ann", "ann", "bob"],
        "clicks": pa.array([1.0, 2.0, 3.0], pa.float32()),
        "name": ["x", "y", "z"],
    },
    "shops": {"shop_id": pa.array([1, 1, 2]), "sales": pa.array([1, 2, 3])},
    "visits": {
        "user_id": ["ann", "bob", "bob"],
        "shop_id": pa.array([1, 2, 1]),
        "num": pa.array([7, 8, 9]),
    },
}


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def make_store(folder: Path, kind: str) -> FeatureStore:
    """Three views on files, by user, by shop and by both, and a service of two of them."""
    folder.mkdir()
    times = pa.array([at(1), at(5), at(2)], pa.timestamp("us", tz="UTC"))
    for name, columns in FILES.items():
        pq.write_table(pa.table({**columns, "event_timestamp": times}), folder / f"{name}.parquet")
    store = FeatureStore(
        config=RepoConfig(
            project="contract",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": kind},
            entity_key_serialization_version=3,
        )
    )
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)

    def view(name: str, entities: list[Entity], schema: list[Field]) -> FeatureView:
        path = str(folder / f"{name}.parquet")
        source = FileSource(name=f"{name}_file", path=path, timestamp_field="event_timestamp")
        ttl = timedelta(0)
        return FeatureView(name=name, entities=entities, ttl=ttl, schema=schema, source=source)

    fields = [Field(name="clicks", dtype=Float32), Field(name="name", dtype=String)]
    users = view("users", [user], fields)
    shops = view("shops", [shop], [Field(name="sales", dtype=Int64)])
    visits = view("visits", [user, shop], [Field(name="num", dtype=Int64)])
    service = FeatureService(name="service", features=[users[["clicks"]], shops])
    store.apply([user, shop, users, shops, visits, service])
    return store


def users(**columns: Any) -> pd.DataFrame:
    times = [at(3), at(6)]
    return pd.DataFrame({"user_id": ["ann", "bob"], "event_timestamp": times, **columns})


def shops(ids: Any) -> pd.DataFrame:
    return pd.DataFrame({"shop_id": ids, "event_timestamp": [at(3), at(6)]})


TIMES = pd.to_datetime(pd.Series([at(3), at(6)]))
NAIVE = TIMES.dt.tz_localize(None)
OF_USERS, OF_SHOPS = ("users:clicks",), ("shops:sales",)
TAKEN: dict[str, tuple[pd.DataFrame, Sequence[str] | str]] = {
    "objects": (users(), OF_USERS),
    "strings": (users(user_id=pd.array(["ann", "bob"], dtype="string")), OF_USERS),
    "strings of arrow": (
        users(user_id=pd.array(["ann", "bob"], dtype="string[pyarrow]")), OF_USERS,
    ),
    "a missing string": (users(user_id=pd.array(["ann", None], dtype="string")), OF_USERS),
    "None": (users(user_id=["ann", None]), OF_USERS),
    "a user without rows": (users(user_id=["ann", "new"]), OF_USERS),
    "categories": (users(user_id=pd.Categorical(["ann", "bob"])), OF_USERS),
    "int64": (shops([1, 2]), OF_SHOPS),
    "int32": (shops(np.array([1, 2], "int32")), OF_SHOPS),
    "uint8": (shops(np.array([1, 2], "uint8")), OF_SHOPS),
    "Int64": (shops(pd.array([1, 2], dtype="Int64")), OF_SHOPS),
    "Int64 with NA": (shops(pd.array([1, None], dtype="Int64")), OF_SHOPS),
    "int64 of arrow with NA": (shops(pd.array([1, None], dtype="int64[pyarrow]")), OF_SHOPS),
    "floats": (shops([1.0, 2.0]), OF_SHOPS),
    "floats with nan": (shops([1.0, np.nan]), OF_SHOPS),
    "floats between": (shops([1.0, 1.5]), OF_SHOPS),
    "categories of integers": (shops(pd.Categorical([1, 2])), OF_SHOPS),
    "empty": (users()[:0], OF_USERS),
    "empty without types": (pd.DataFrame(columns=["user_id", "event_timestamp"]), OF_USERS),
    "naive ns": (users(event_timestamp=NAIVE.astype("datetime64[ns]")), OF_USERS),
    "naive us": (users(event_timestamp=NAIVE.astype("datetime64[us]")), OF_USERS),
    "naive ms": (users(event_timestamp=NAIVE.astype("datetime64[ms]")), OF_USERS),
    "naive s": (users(event_timestamp=NAIVE.astype("datetime64[s]")), OF_USERS),
    "aware us": (users(event_timestamp=TIMES.astype("datetime64[us, UTC]")), OF_USERS),
    "another zone": (users(event_timestamp=TIMES.dt.tz_convert("Asia/Tokyo")), OF_USERS),
    "objects as times": (users(event_timestamp=pd.Series([at(3), at(6)], dtype=object)), OF_USERS),
    "a time of another name": (users().rename(columns={"event_timestamp": "when"}), OF_USERS),
    "two times": (users(then=[at(0), at(9)]), OF_USERS),
    "a column named like the feature": (users(clicks=[9.0, 9.0]), OF_USERS),
    "one named like another feature": (users(name=["p", "q"]), OF_USERS),
    "one named like the stream's position": (users(position=[5, 6]), OF_USERS),
    "more columns": (users(label=[1, 0], note=["a", None]), OF_USERS),
    "a column named by a number": (users().assign(**{"0": 1}).rename(columns={"0": 0}), OF_USERS),
    "unsorted": (users()[::-1], OF_USERS),
    "another index": (users().set_index(pd.Index([7, 7])), OF_USERS),
    "several entities": (users(shop_id=[1, 1]), ("visits:num", "users:clicks", "shops:sales")),
    "entities in another order": (
        users(shop_id=[1, 2])[["shop_id", "event_timestamp", "user_id"]], ("visits:num",),
    ),
    "a service": (users(shop_id=np.array([1, 2], "int16")), "service"),
}  # fmt: skip
