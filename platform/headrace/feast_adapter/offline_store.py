"""Feast's offline store of files, with an exact join: `offline_store.type` in the configuration.

    offline_store:
      type: headrace.feast_adapter.offline_store.AsOfOfflineStore

It reads the sources of Feast's own store of files, a Parquet file or a folder of them. That one
leaves out the requests of an entity whose rows are all newer, or older than the ttl, makes one of
two requests of the same entity and time, and builds every pair of request and row in memory. Here
each request is one row of the result, in the order given, with the newest row of its entity that is
not newer than it and, with a ttl, not older than that; without one the features are null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

import dask.dataframe
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
from feast import FeatureView, FileSource, RepoConfig, utils
from feast.infra.offline_stores.dask import (
    DaskOfflineStore,
    DaskOfflineStoreConfig,
    DaskRetrievalJob,
)
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from numpy.typing import NDArray

from headrace.errors import FeatureError
from headrace.feast_adapter.entity_frame import (
    entity_numbers,
    ids_as,
    request_times,
    require_frame,
    require_like,
    time_column,
    utc,
)

POSITION: Final = "position"  # of rows of equal time, that with the greatest is the newest
MAX_IDS: Final = 50_000  # more entities than these are not looked for one by one in the files

_ROW_TIME: Final = "__row_time"
_FEATURE: Final = "__feature:"  # before names of features, which may be those of join keys


class AsOfOfflineStoreConfig(DaskOfflineStoreConfig):  # type: ignore[misc]
    """Nothing to choose."""

    type: Literal["headrace.feast_adapter.offline_store.AsOfOfflineStore"] = (
        "headrace.feast_adapter.offline_store.AsOfOfflineStore"
    )


class AsOfOfflineStore(DaskOfflineStore):  # type: ignore[misc]
    """Point-in-time joins that keep every request; the rest is Feast's store of files."""

    supports_filter_by_created_timestamp = False

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: Sequence[FeatureView],
        feature_refs: Sequence[str],
        entity_df: pd.DataFrame | None,
        **options: Any,
    ) -> RetrievalJob:
        """One row for each of `entity_df`; raises `FeatureError` where they cannot be joined."""
        if entity_df is None:
            return DaskOfflineStore.get_historical_features(
                config, feature_views, feature_refs, entity_df, **options
            )
        requests = require_frame(entity_df)
        name, is_full = time_column(requests), options.get("full_feature_names", False)
        times = request_times(requests, name)
        on_demand = utils._get_requested_on_demand_feature_views(
            feature_refs, options["project"], options["registry"]
        )
        requested, _ = utils._get_requested_feature_views_to_features_dict(
            feature_refs, feature_views, on_demand
        )

        def join() -> pd.DataFrame:
            joined = requests.assign(**{name: times}).reset_index(drop=True)
            for view, features in requested.items():
                named = _named(view, features, is_full)
                joined = _join_view(config, joined, name, view, named)
            return joined

        return DaskRetrievalJob(
            evaluation_function=_as_dask(join),
            full_feature_names=is_full,
            repo_path=str(config.repo_path),
            on_demand_feature_views=on_demand,
            metadata=RetrievalMetadata(
                feature_refs, [*requests.columns.drop(name)], times.min(), times.max()
            ),
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: FileSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        **options: Any,
    ) -> RetrievalJob:
        """The rows of a period, to be materialized.

        None where the source lacks a feature of its view: the logs of streaming rows have no
        states, and a row without one must not replace a row of the stream's.
        """
        names = [*join_key_columns, *feature_name_columns, options["timestamp_field"]]
        if set(names) <= set(_dataset(config, data_source).schema.names):
            return DaskOfflineStore.pull_all_from_table_or_query(
                config, data_source, join_key_columns, feature_name_columns, **options
            )
        nothing = pd.DataFrame({name: [] for name in names})
        return DaskRetrievalJob(_as_dask(lambda: nothing), False, str(config.repo_path))

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: FileSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        **options: Any,
    ) -> RetrievalJob:
        """The newest row of each entity in a period, of those that the other method gives."""
        job = AsOfOfflineStore.pull_all_from_table_or_query(
            config, data_source, join_key_columns, feature_name_columns, **options
        )
        if not join_key_columns:
            return job

        def latest() -> pd.DataFrame:
            ordered = job.to_df().sort_values(options["timestamp_field"], kind="stable")
            newest: pd.DataFrame = ordered.drop_duplicates(join_key_columns, keep="last")
            return newest

        return DaskRetrievalJob(_as_dask(latest), False, str(config.repo_path))


def _join_view(
    config: RepoConfig,
    requests: pd.DataFrame,
    time_name: str,
    view: FeatureView,
    names: Mapping[str, str],
) -> pd.DataFrame:
    """`requests` with the features of one view, under these names; like Feast's, with two
    underscores more where the frame has a column of that name."""
    keys = {
        entity.name: view.projection.join_key_map.get(entity.name, entity.name)
        for entity in view.entity_columns
    }
    missing = [key for key in keys.values() if key not in requests.columns]
    if missing:
        raise FeatureError(
            f"entity_df has no column {', '.join(missing)}, which view {view.name!r} is joined on; "
            f"it has {', '.join(map(str, requests.columns))}"
        )
    in_rows = {name: f"{_FEATURE}{new_name}" for name, new_name in names.items()}
    rows = _rows(config, view, requests, time_name, {**keys, **in_rows})
    place_R = _newest(requests, rows, time_name, [*keys.values()], view.ttl)
    found = rows[[*in_rows.values()]].reindex(place_R).set_axis(requests.index)
    taken = set(requests.columns)
    found.columns = pd.Index([n + "__" if n in taken else n for n in names.values()])
    if twice := taken.intersection(found.columns):
        raise FeatureError(
            f"entity_df has columns named like features, and {', '.join(sorted(twice))} too: "
            "rename them, or ask with full_feature_names=True"
        )
    return pd.concat([requests, found], axis=1)


def _newest(
    requests: pd.DataFrame,
    rows: pd.DataFrame,
    time_name: str,
    keys: Sequence[str],
    ttl: timedelta | None,
) -> NDArray[np.int64]:
    """[R]: the place of the newest row that each request may know, -1 where there is none."""
    number_R, number_N = entity_numbers(requests, rows, keys)
    asked = pd.DataFrame({_ROW_TIME: requests[time_name], "entity": number_R})
    asked = asked[(number_R >= 0) & asked[_ROW_TIME].notna()].sort_values(_ROW_TIME, kind="stable")
    known = pd.DataFrame({_ROW_TIME: rows[_ROW_TIME], "entity": number_N, "place": rows.index})
    joined = pd.merge_asof(asked, known, on=_ROW_TIME, by="entity", tolerance=ttl or None)
    place_R = np.full(len(requests), -1, np.int64)
    place_R[asked.index] = joined["place"].fillna(-1)
    return place_R


def _rows(
    config: RepoConfig,
    view: FeatureView,
    requests: pd.DataFrame,
    time_name: str,
    names: Mapping[str, str],
) -> pd.DataFrame:
    """The rows of a view that may be asked for, under these names, oldest first."""
    source = view.batch_source
    dataset = _dataset(config, source)
    in_file = {feast_name: name for name, feast_name in source.field_mapping.items()}
    columns = {in_file.get(name, name): new_name for name, new_name in names.items()}
    missing = [name for name in columns if name not in dataset.schema.names]
    if missing:
        raise FeatureError(
            f"the log of view {view.name!r} has no column {', '.join(missing)}; it has "
            f"{', '.join(dataset.schema.names)}"
        )
    ties = [source.created_timestamp_column or POSITION]
    ties = [name for name in ties if name in dataset.schema.names]
    latest = requests[time_name].max()
    wanted = _not_after(dataset.schema.field(source.timestamp_field), latest)
    for name, new_name in columns.items():
        if not new_name.startswith(_FEATURE):
            wanted &= _of_these(dataset.schema.field(name), requests[new_name], view)
    read = [*dict.fromkeys([*columns, source.timestamp_field, *ties])]
    rows: pd.DataFrame = dataset.to_table(columns=read, filter=wanted).to_pandas()
    rows[_ROW_TIME] = utc(rows[source.timestamp_field])
    rows = rows.sort_values([_ROW_TIME, *ties], kind="stable", ignore_index=True)
    return rows[[*columns, _ROW_TIME]].rename(columns=columns)


def _dataset(config: RepoConfig, source: FileSource) -> Any:
    path = FileSource.get_uri_for_file_path(config.repo_path, source.path)
    filesystem, path = FileSource.create_filesystem_and_path(path, source.s3_endpoint_override)
    return pyarrow.dataset.dataset(path, filesystem=filesystem, format="parquet")


def _of_these(field: Any, ids: pd.Series[Any], view: FeatureView) -> Any:
    """A filter for rows of these ids, as far as the file can tell them apart."""
    require_like(ids, field.type, view.name)
    wanted = None if pa.types.is_dictionary(field.type) else ids_as(ids, field.type)
    if wanted is None or len(wanted) > MAX_IDS:
        return pyarrow.dataset.scalar(True)
    return pyarrow.dataset.field(field.name).isin(wanted)


def _not_after(field: Any, time: pd.Timestamp) -> Any:
    """A filter for rows that are not newer; a column of another type than times, and no time,
    keeps them all."""
    if not pa.types.is_timestamp(field.type) or pd.isna(time):
        return pyarrow.dataset.field(field.name).is_valid()
    bound = time.ceil("us") if field.type.tz else time.ceil("us").tz_localize(None)
    return pyarrow.dataset.field(field.name) <= pa.scalar(bound.to_pydatetime()).cast(field.type)


def _named(view: FeatureView, features: Sequence[str], is_full: bool) -> dict[str, str]:
    prefix = f"{view.projection.name_to_use()}__" if is_full else ""
    return {feature: f"{prefix}{feature}" for feature in features}


def _as_dask(frame: Callable[[], pd.DataFrame]) -> Callable[[], Any]:
    """The evaluation function of a `DaskRetrievalJob`: the frame as a Dask frame."""
    from_pandas: Any = dask.dataframe.from_pandas
    return lambda: from_pandas(frame(), npartitions=1, sort=False)
