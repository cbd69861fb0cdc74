"""Materialization: the catalogue, Feast's registry, and static features in the online store.

This is Feast's own `apply` and `materialize` on this repository's `feature_repo`.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prometheus_client as _before_feast  # noqa: F401  or feast.metrics redirects it
from feast import FeatureStore
from feast.repo_config import load_repo_config
from feast.repo_operations import apply_total

from headrace import config
from headrace.datasets.catalogue import write_catalogue
from headrace.datasets.dataset import Dataset
from headrace.features.table import LAYOUTS
from headrace.offline.folder import date_folder, replace_files, rows_path
from headrace.offline.tables import rows_schema

STATIC_VIEWS = ("user_profile", "item_content")


def write_sources(dataset: Dataset, settings: config.Settings, now_ms: int) -> None:
    """Write the files that Feast's sources name: the catalogue, and an empty one for each log."""
    write_catalogue(dataset, config.catalogue_path(settings), now_ms)
    for layout in LAYOUTS:
        path = rows_path(settings, layout.entity) / date_folder(0) / "empty.parquet"
        replace_files({path: rows_schema(layout).empty_table()})


def apply(settings: config.Settings) -> None:
    """What `feast apply` does on feature_repo; a second time it only brings in what changed."""
    config.export(settings)
    repository, here = config.repository_path("feature_repo"), Path.cwd()
    repo_config = load_repo_config(repository, repository / "feature_store.yaml")
    sys.path.insert(0, str(repository))  # Feast imports the definitions by their file's name
    try:
        apply_total(repo_config, repository, skip_source_validation=False)
    finally:
        sys.path.remove(str(repository))
        os.chdir(here)  # Feast goes into the repository and stays there


def materialize(settings: config.Settings, now_ms: int, incremental: bool = False) -> None:
    """Copy static features of the catalogue into the online store: all, or what is new.

    Streaming views are left alone: their rows come from the stream, with the state that it needs.
    """
    config.export(settings)
    store = FeatureStore(repo_path=str(config.repository_path("feature_repo")))
    end = datetime.fromtimestamp(now_ms / 1_000, tz=UTC) + timedelta(seconds=1)
    if incremental:
        store.materialize_incremental(end_date=end, feature_views=list(STATIC_VIEWS))
        return
    store.materialize(
        start_date=datetime(1970, 1, 2, tzinfo=UTC),
        end_date=end,
        feature_views=list(STATIC_VIEWS),
    )
