"""Feast's own `apply` and `materialize` on this repository's `feature_repo`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feast import FeatureStore
from feast.repo_config import load_repo_config
from feast.repo_operations import apply_total

from headrace import config
from headrace.features.online.configuration import FILE, read_configuration
from headrace.features.online.store import clients_elsewhere
from headrace.rooms.folder import room_path


def apply_definitions(settings: config.Settings) -> None:
    """Apply feature_repo as `feast apply` does; a second time only brings in the changes."""
    config.export(settings)
    repository, here = room_path("feature_repo"), Path.cwd()
    repo_config = load_repo_config(repository, repository / FILE)
    sys.path.insert(0, str(repository))  # Feast imports the definitions by their file's name
    try:
        apply_total(repo_config, repository, skip_source_validation=False)
    finally:
        sys.path.remove(str(repository))
        os.chdir(here)  # Feast goes into the repository and stays there


def materialize_views(
    settings: config.Settings, views: Sequence[str], now_ms: int, incremental: bool = False
) -> None:
    """Copy the rows of these views' sources into the online store: all, or the new ones."""
    config.export(settings)
    connection = read_configuration(settings).connection
    clients_elsewhere(connection, connection.client(), settings)
    store = FeatureStore(repo_path=str(room_path("feature_repo")))
    end = datetime.fromtimestamp(now_ms / 1_000, tz=UTC) + timedelta(seconds=1)
    if incremental:
        store.materialize_incremental(end_date=end, feature_views=list(views))
        return
    store.materialize(
        start_date=datetime(1970, 1, 2, tzinfo=UTC), end_date=end, feature_views=list(views)
    )
