"""Materialization: the catalogue, Feast's registry, and static features in the online store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace import config
from headrace.catalogue import columnar
from headrace.catalogue.content import MODALITIES, Modality
from headrace.catalogue.files import read_items
from headrace.catalogue.vector_table import VectorTable
from headrace.documents.history import SCHEMAS, TIME_MS
from headrace.feast_adapter.materialization import apply_definitions, materialize_views
from headrace.features.online.views import STATIC_VIEWS, vector_view_name
from headrace.features.table import LAYOUTS
from headrace.offline.folder import date_folder, replace_files
from headrace.offline.tables import rows_schema
from headrace.paths import documents_path, rows_path

STATIC_NAMES: Final = tuple(view.name for view in STATIC_VIEWS)
VECTOR_SCHEMA: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("vector", pa.list_(pa.float32())),
        ("encoder", pa.string()),
        ("event_timestamp", pa.timestamp("us", tz="UTC")),
    ]
)


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
    _complete_sources(settings)
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


def _complete_sources(settings: config.Settings) -> None:
    """Write an empty file where a view's source has none: Feast checks that each is there."""
    empty = {
        _vector_file(config.catalogue_path(settings), modality): VECTOR_SCHEMA
        for modality in MODALITIES
    }
    for kind, schema in SCHEMAS.items():
        path = documents_path(settings, kind) / date_folder(0) / "empty.parquet"
        empty[path] = schema
    for layout in LAYOUTS:
        path = rows_path(settings, layout.entity) / date_folder(0) / "empty.parquet"
        empty[path] = rows_schema(layout)
    replace_files(_first_histories(settings))
    replace_files(
        {path: schema.empty_table() for path, schema in empty.items() if not path.exists()}
    )


def _first_histories(settings: config.Settings) -> dict[Path, pa.Table]:
    """The histories of items and users that lack one, as the catalogue's files have them."""
    tables: dict[Path, pa.Table] = {}
    for kind, schema in SCHEMAS.items():
        folder = documents_path(settings, kind)
        file = config.catalogue_path(settings) / f"{kind}s.parquet"
        if any(folder.rglob("*.parquet")) or not file.exists():
            continue
        names = [name for name in schema.names if name != TIME_MS[0]]
        table = columnar.read_parquet(file, names)
        times_ms = table.column("event_timestamp").cast(pa.int64()).to_numpy() // 1_000
        table = table.append_column(pa.field(*TIME_MS), pa.array(times_ms)).select(schema.names)
        tables[folder / date_folder(0) / "first.parquet"] = table.cast(schema)
    return tables


def _vector_file(catalogue: Path, modality: Modality) -> Path:
    return catalogue / f"{vector_view_name(modality)}.parquet"
