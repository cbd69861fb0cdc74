"""The offline store's contract: the same entity frames over Feast's own store of files and ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from entity_frames import (
    NAIVE,
    OF_SHOPS,
    OF_USERS,
    OURS,
    TAKEN,
    TIMES,
    at,
    make_store,
    shops,
    users,
)
from feast import FeatureStore
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

from headrace.errors import FeatureError

pytestmark = [  # dask's and pandas', in Feast's store, and Feast's own
    pytest.mark.filterwarnings("ignore:Merging dataframes"),
    pytest.mark.filterwarnings("ignore:You are merging on int and float"),
    pytest.mark.filterwarnings("ignore:The DataFrame has column names of mixed type"),
    pytest.mark.filterwarnings("ignore:Saving dataset is an experimental feature"),
]


@dataclass(frozen=True)
class Both:
    """Feast's own store and ours, on the same rows."""

    feast: FeatureStore
    ours: FeatureStore


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("offline_contract")
    return Both(make_store(folder / "feast", "dask"), make_store(folder / "ours", OURS))


def ask(
    store: FeatureStore, frame: Any, features: Sequence[str] | str, is_full: bool = False
) -> pd.DataFrame:
    asked: Any = [*features]
    if features == "service":
        asked = store.get_feature_service("service")
    given = frame.copy() if isinstance(frame, pd.DataFrame) else frame
    return store.get_historical_features(given, asked, full_feature_names=is_full).to_df()


def sorted_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in one order, and ids of any types as Python's own values."""
    ids = [name for name in ("user_id", "shop_id") if name in table]
    plain = table.assign(**{name: table[name].astype(object) for name in ids})
    plain[ids] = plain[ids].where(plain[ids].notna(), None)
    order = sorted(range(len(plain)), key=lambda n: [str(v) for v in plain[ids].iloc[n]])
    return plain.iloc[order].reset_index(drop=True)


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("is_full", [False, True], ids=["short", "full"])
def test_a_frame_that_feasts_store_takes_gives_the_same_here(
    name: str, is_full: bool, both: Both
) -> None:
    frame, features = TAKEN[name]
    before = frame.copy(deep=True)
    expected, got = (
        sorted_rows(ask(store, frame, features, is_full)) for store in (both.feast, both.ours)
    )
    pd.testing.assert_frame_equal(got, expected)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (users(user_id=[1, 2]), "'user_id' is of type integer.* it is string.*astype(str)"),
        (shops(["1", "2"]), "'shop_id' is of type string.* it is int64.*astype('int64')"),
        (users().rename(columns={"user_id": "who"}), "no column user_id.*it has who, event_"),
        (users(when=TIMES, then=TIMES).drop(columns="event_timestamp"), "the times of the requ"),
        (users(event_timestamp=[1714521603, 1714521604]), "1714521603.*unit='s', utc=True"),
        (users(event_timestamp=[1714521603000] * 2), "'event_timestamp' has numbers.*unit='ms'"),
        (users(event_timestamp=[1714521603000000.0] * 2), "numbers.*to_datetime.*unit='us'"),
        (users(event_timestamp=[1714521603000000000] * 2), "numbers.*to_datetime.*unit='ns'"),
        (users(event_timestamp=pd.Series([1714521603] * 2, dtype=object)), "numbers.*unit='s'"),
        (users(event_timestamp=NAIVE.astype("datetime64[us]") + timedelta(days=99 * 9999)),
         "no time from 1678 to 2261"),
        (users(event_timestamp=["yesterday", "today"]), "is no time.*text such as 2024-05-01T09"),
        (pd.DataFrame([["ann", 1, 1, at(3)]], columns=["user_id", "a", "a", "event_timestamp"]),
         "several columns named a"),
        ("select 1", "entity_df is a str, expected a pandas DataFrame"),
        ([1], "entity_df is a list, expected a pandas DataFrame"),
    ],
)  # fmt: skip
def test_what_neither_takes_is_refused_here_in_one_line_that_says_what_to_do(
    frame: Any, said: str, both: Both
) -> None:
    features = OF_SHOPS if isinstance(frame, pd.DataFrame) and "shop_id" in frame else OF_USERS
    with pytest.raises(Exception):  # noqa: B017  of many kinds
        ask(both.feast, frame, features)
    pattern = said.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(FeatureError, match=pattern) as caught:
        ask(both.ours, frame, features)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "times",
    [
        [at(3).isoformat(), "2024-05-01 00:00:06"],
        pd.array([at(3).isoformat(), "2024-05-01T00:00:06.000001Z"], dtype="string"),
        pd.Series([at(3), at(6).replace(tzinfo=None)], dtype=object),
        TIMES.astype(pd.ArrowDtype(pa.timestamp("us", tz="UTC"))),
    ],
    ids=["text", "strings", "some with a zone", "arrow"],
)
def test_times_that_only_we_take(times: Any, both: Both) -> None:
    got = ask(both.ours, users(event_timestamp=times), OF_USERS)
    assert got["clicks"].tolist() == [1.0, 3.0]


def test_dates_are_the_midnight_that_they_begin_with(both: Both) -> None:
    got = ask(both.ours, users(event_timestamp=[date(2024, 5, 1), date(2024, 5, 2)]), OF_USERS)
    assert got["clicks"].isna().tolist() == [True, False]


def test_requests_that_feasts_store_leaves_out_or_merges_stay(both: Both) -> None:
    frame = pd.DataFrame(
        {
            "label": range(4),
            "user_id": ["ann", "ann", "bob", "ann"],
            "event_timestamp": pd.to_datetime([at(3), at(3), at(0), None], utc=True),
        }
    )
    got = ask(both.ours, frame, OF_USERS)
    assert got["label"].tolist() == [0, 1, 2, 3]
    assert got["clicks"].fillna(-1).tolist() == [1.0, 1.0, -1.0, -1.0]
    assert len(ask(both.feast, frame, OF_USERS)) == 1


def test_columns_named_like_features_with_their_underscores_too_are_refused(both: Both) -> None:
    with pytest.raises(FeatureError, match="clicks__ too: rename them, or ask with full_feature"):
        ask(both.ours, users(clicks=[0, 0], clicks__=[0, 0]), OF_USERS)


@pytest.mark.parametrize("features", [["users:clicks"], ["users:clicks", "users:name"]])
def test_the_newest_rows_of_a_period_come_without_a_frame(features: list[str], both: Both) -> None:
    def retrieve(store: FeatureStore, end: datetime) -> pd.DataFrame:
        job = store.get_historical_features(features=features, start_date=at(0), end_date=end)
        return sorted_rows(job.to_df())

    for second in (2, 4, 5, 10):
        expected = retrieve(both.feast, at(second))
        pd.testing.assert_frame_equal(retrieve(both.ours, at(second)), expected)


@pytest.mark.parametrize("method", ["pull_latest_from_table_or_query",
                                    "pull_all_from_table_or_query"])  # fmt: skip
def test_rows_to_be_materialized_are_the_same(method: str, both: Both) -> None:
    def pull(store: FeatureStore, first: int, last: int) -> pd.DataFrame:
        offline = store._get_provider().offline_store
        job = getattr(offline, method)(
            config=store.config,
            data_source=store.get_feature_view("users").batch_source,
            join_key_columns=["user_id"],
            feature_name_columns=["clicks", "name"],
            timestamp_field="event_timestamp",
            created_timestamp_column=None,
            start_date=at(first),
            end_date=at(last),
        )
        table = job.to_df()
        return sorted_rows(table[sorted(table.columns)])

    for first, last in [(0, 10), (1, 2), (2, 5), (6, 9)]:
        pd.testing.assert_frame_equal(pull(both.ours, first, last), pull(both.feast, first, last))


def test_a_training_set_is_had_as_arrow_and_saved(both: Both, tmp_path: Path) -> None:
    saved = {}
    for name, store in (("feast", both.feast), ("ours", both.ours)):
        job = store.get_historical_features(users(), [*OF_USERS])
        arrow = job.to_arrow().select(["user_id", "clicks"]).to_pylist()
        path = tmp_path / f"{name}.parquet"
        dataset = store.create_saved_dataset(
            from_=job, name="training", storage=SavedDatasetFileStorage(path=str(path))
        )
        kept = dataset.to_df()[["user_id", "clicks"]].to_dict("records")
        saved[name] = (arrow, kept, pq.read_table(path).num_rows)
    assert saved["ours"] == saved["feast"]
