"""Materialization: the catalogue, Feast's registry, and static features in the online store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from headrace import config
from headrace.catalogue import columnar
from headrace.catalogue.content import MODALITIES, Modality
from headrace.catalogue.files import read_items, write_catalogue
from headrace.catalogue.item import Dataset
from headrace.catalogue.vector_table import VectorTable
from headrace.feast_adapter.materialization import apply_definitions, materialize_views
from headrace.features.online.views import STATIC_VIEWS, vector_view_name
from headrace.features.table import LAYOUTS
from headrace.offline.folder import date_folder, replace_files
from headrace.offline.tables import rows_schema
from headrace.paths import rows_path

STATIC_NAMES: Final = tuple(view.name for view in STATIC_VIEWS)
VECTOR_SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("vector", pa.list_(pa.float32())),
        ("encoder", pa.string()),
        ("event_timestamp", pa.timestamp("us", tz="UTC")),
    ]
)


def write_sources(dataset: Dataset, settings: config.Settings, now_ms: int) -> None:
    """Write the files that Feast's sources name: the catalogue, and an empty one for each log."""
    write_catalogue(dataset, config.catalogue_path(settings), now_ms)
    for layout in LAYOUTS:
        path = rows_path(settings, layout.entity) / date_folder(0) / "empty.parquet"
        replace_files({path: rows_schema(layout).empty_table()})


def write_vectors(
    settings: config.Settings, modality: Modality, table: VectorTable, now_ms: int
) -> None:
    """Write the source of a modality's vector view: a row for every item, of this version only.

    An item without a vector has an empty one, so that none of another version stays online.
    """
    folder = config.catalogue_path(settings)
    left = set(read_items(folder))
    with columnar.replacing(_vector_file(folder, modality), VECTOR_SCHEMA) as writer:

        def write(pairs: list[tuple[str, list[float]]]) -> None:
            rows = [(item_id, vector, table.name, now_ms * 1_000) for item_id, vector in pairs]
            columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
            writer.write_table(pa.table(columns, VECTOR_SCHEMA))

        for batch in table.read().select(["item_id", "vector"]).to_batches(columnar.BATCH_ROWS):
            pairs = [(item, vector or []) for item, vector in columnar.rows(batch) if item in left]
            left.difference_update(item for item, _ in pairs)
            write(pairs)
        write([(item, []) for item in sorted(left)])


def apply(settings: config.Settings) -> None:
    """Apply feature_repo as `feast apply` does; a second time only brings in the changes."""
    for modality in MODALITIES:
        path = _vector_file(config.catalogue_path(settings), modality)
        if not path.exists():  # Feast checks that each view's source is there
            pq.write_table(VECTOR_SCHEMA.empty_table(), path)
    apply_definitions(settings)


def materialize(
    settings: config.Settings,
    now_ms: int,
    incremental: bool = False,
    views: Sequence[str] = STATIC_NAMES,
) -> None:
    """Copy static features of the catalogue, or these views, into the online store: all rows,
    or the new ones.

    Streaming views are left alone: their rows come from the stream, with the state that it needs.
    """
    materialize_views(settings, views, now_ms, incremental)


def _vector_file(catalogue: Path, modality: Modality) -> Path:
    return catalogue / f"{vector_view_name(modality)}.parquet"
