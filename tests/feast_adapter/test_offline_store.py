"""Training sets through Feast: each request with what was known at its time, and never more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Bytes, Float32

from headrace.errors import FeatureError

START = datetime(2024, 5, 1, tzinfo=UTC)
TTL_S = 20
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("clicks", pa.float32()),
        ("position", pa.int64()),
        ("event_timestamp", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True)
class Row:
    """A row of the log: of a user, at a second, at a position."""

    user_id: str
    time_s: int
    position: int
    clicks: float


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feast")
    write(folder, [])
    return folder


@pytest.fixture(scope="module")
def feast(folder: Path) -> FeatureStore:
    """Three views of one log: of any age, of a ttl, and with a feature that the log has not."""
    store = FeatureStore(
        config=RepoConfig(
            project="offline",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": "headrace.feast_adapter.offline_store.AsOfOfflineStore"},
            entity_key_serialization_version=3,
        )
    )
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    source = FileSource(name="rows", path=str(folder / "rows"), timestamp_field="event_timestamp")
    clicks, state = Field(name="clicks", dtype=Float32), Field(name="state", dtype=Bytes)

    def view(name: str, ttl_s: int, schema: list[Field]) -> FeatureView:
        ttl = timedelta(seconds=ttl_s)
        return FeatureView(name=name, entities=[user], ttl=ttl, schema=schema, source=source)

    views = [view("ever", 0, [clicks]), view("lately", TTL_S, [clicks])]
    store.apply([user, *views, view("streaming", 0, [clicks, state])])
    return store


def write(folder: Path, rows: Sequence[Row]) -> None:
    """The log, as the archive writes it: files by date, in the order of what came."""
    path = folder / "rows" / "date=2024-05-01"
    path.mkdir(parents=True, exist_ok=True)
    for old in path.iterdir():
        old.unlink()
    for number, part in enumerate((rows[::2], rows[1::2])):
        columns = [
            [row.user_id for row in part],
            [row.clicks for row in part],
            [row.position for row in part],
            [START + timedelta(seconds=row.time_s) for row in part],
        ]
        arrays = [pa.array(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=SCHEMA)
        pq.write_table(table, path / f"p0-{number}-{number + 1}-of1.parquet")


def requests(*asked: tuple[str, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "label": range(len(asked)),
            "user_id": pd.Series([user_id for user_id, _ in asked], dtype="str").astype(object),
            "event_timestamp": [START + timedelta(seconds=time_s) for _, time_s in asked],
        }
    )


def as_of(rows: Sequence[Row], user_id: str, time_s: int, ttl_s: int) -> float | None:
    """The clicks that were known, looked for one row at a time."""
    known = [
        row
        for row in rows
        if row.user_id == user_id
        and row.time_s <= time_s
        and (not ttl_s or row.time_s >= time_s - ttl_s)
    ]
    return max(known, key=lambda row: (row.time_s, row.position)).clicks if known else None


@pytest.mark.parametrize("seed", range(8))
def test_each_request_gets_the_newest_row_that_was_known(
    seed: int, folder: Path, feast: FeatureStore
) -> None:
    random = Random(seed)
    users, last_s = ("ann", "bob", "eve"), 60
    rows = [
        Row(random.choice(users[:2]), random.randint(10, last_s), position, float(position))
        for position in range(random.choice((0, 1, 40)))
    ]
    random.shuffle(rows)
    write(folder, rows)
    asked = [(random.choice(users), random.randint(0, last_s + 2 * TTL_S)) for _ in range(60)]
    asked += asked[:5]  # two requests of the same user and time
    table = feast.get_historical_features(
        requests(*asked), features=["ever:clicks", "lately:clicks"], full_feature_names=True
    ).to_df()
    assert table["label"].tolist() == list(range(len(asked)))
    assert table["user_id"].tolist() == [user_id for user_id, _ in asked]
    for name, ttl_s in (("ever__clicks", 0), ("lately__clicks", TTL_S)):
        expected = [as_of(rows, *request, ttl_s) for request in asked]
        assert [None if pd.isna(got) else got for got in table[name]] == expected


def test_a_row_at_the_time_of_the_request_is_known_and_one_after_it_is_not(
    folder: Path, feast: FeatureStore
) -> None:
    write(folder, [Row("ann", 5, 0, 1.0), Row("ann", 6, 1, 2.0)])
    table = feast.get_historical_features(
        requests(("ann", 4), ("ann", 5), ("ann", 6)), features=["ever:clicks"]
    ).to_df()
    assert table["clicks"].fillna(-1).tolist() == [-1.0, 1.0, 2.0]


def test_times_without_a_zone_are_utc_and_the_index_does_not_matter(
    folder: Path, feast: FeatureStore
) -> None:
    write(folder, [Row("ann", 5, 0, 1.0)])
    asked = requests(("ann", 6), ("ann", 1))
    asked["event_timestamp"] = asked["event_timestamp"].dt.tz_localize(None)
    asked.index = pd.Index([7, 7])
    table = feast.get_historical_features(asked, features=["ever:clicks"]).to_df()
    assert table["clicks"].fillna(-1).tolist() == [1.0, -1.0]


def test_what_cannot_be_joined_is_said(folder: Path, feast: FeatureStore) -> None:
    asked = requests(("ann", 1))
    with pytest.raises(FeatureError, match="no column state"):
        feast.get_historical_features(asked, features=["streaming:state"]).to_df()
    with pytest.raises(FeatureError, match="expected a pandas DataFrame"):
        feast.get_historical_features("select 1", features=["ever:clicks"])


def test_the_newest_row_is_materialized_and_none_that_lacks_a_feature(
    folder: Path, feast: FeatureStore
) -> None:
    write(folder, [Row("ann", 5, 0, 1.0), Row("ann", 9, 1, 2.0), Row("bob", 3, 2, 3.0)])
    end = START + timedelta(seconds=9)
    feast.materialize(START, end, feature_views=["ever", "streaming"])
    features = ["ever:clicks", "streaming:clicks"]
    answer = feast.get_online_features(
        features, [{"user_id": "ann"}, {"user_id": "bob"}], full_feature_names=True
    ).to_dict()
    assert answer["ever__clicks"] == [2.0, 3.0]
    assert answer["streaming__clicks"] == [None, None]
