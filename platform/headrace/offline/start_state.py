"""The start state of a namespace: the rows that a backfill made of a log from before the stream.

It lies in the offline store, so that whoever replays the archive begins with it too; `start.py`
puts it where the stream and serving read. Its rows are of a partition that no stream has: a user's
row counts every event of the stream on top, and a merged entity's partial row is added to what the
stream's partitions count.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from redis import Redis

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.schemas import (
    DescriptionOf,
    carry_over,
    decode_description,
    encode_description,
)
from headrace.features.rows.state_row import START_PARTITION as START_PARTITION
from headrace.features.rows.state_row import Rows, decode_rows, encode_rows
from headrace.features.table import LAYOUTS, USER_LAYOUT
from headrace.positions.store import CommitStore
from headrace.stream.step.batch_path import StartState

START_FOLDER: Final = "start-state"
TABLE: Final = b"headrace.feature_table"  # in the files' metadata


def require_unstarted(settings: Settings, description: str) -> None:
    """Claim a namespace for a start with this state.

    Raises `ServiceError` if its stream has counted events, or it was started with another state.
    """
    redis = Redis.from_url(settings.redis_url)
    commits = CommitStore(redis, settings.namespace).read_all()
    num_events = sum(commit.offset for commit in commits.values())
    if num_events:
        raise ServiceError(
            f"the stream of namespace {settings.namespace} has processed {num_events} events: a "
            "start state would count twice what it knows; choose a new HEADRACE_NAMESPACE, or "
            "--offline-only to write files only"
        )
    name = f"{settings.namespace}:start-state"
    redis.set(name, description, nx=True)
    stored = (redis.get(name) or b"").decode()
    if stored != description:
        raise ServiceError(
            f"namespace {settings.namespace} was started with {stored}, this is {description}: "
            "choose a new HEADRACE_NAMESPACE"
        )


def read_start_state(offline: Path) -> StartState:
    """The start state in the offline store; empty rows if there is none."""
    read = {layout.entity: read_rows(offline / START_FOLDER, layout) for layout in LAYOUTS}
    ids, rows = read.pop(USER_LAYOUT.entity)
    return StartState(dict(zip(ids, encode_rows(rows), strict=True)), read)


def row_table(ids: Sequence[str], rows: Rows) -> pa.Table:
    """Rows with their states, as bytes, and the feature table that they belong to."""
    table = pa.table({"id": pa.array(ids, pa.string()), "row": pa.array(encode_rows(rows))})
    return table.replace_schema_metadata({TABLE: encode_description()})


def rows_of(layout: Layout, paths: Sequence[Path]) -> tuple[list[str], Rows]:
    """The rows in these files, and whose they are; those of another table are carried over."""
    ids, payloads = [], []
    for path in paths:
        table = pq.read_table(path, partitioning=None)
        ids += table.column("id").to_pylist()
        payloads += carry_over(table.column("row").to_pylist(), layout, _description_in(table))
    return ids, decode_rows(payloads, layout)


def _description_in(table: pa.Table) -> DescriptionOf:
    described = decode_description((table.schema.metadata or {}).get(TABLE, b"{}"))
    return lambda schema: described


def read_rows(folder: Path, layout: Layout) -> tuple[list[str], Rows]:
    """The rows of one kind of entity in the folder of a state."""
    return rows_of(layout, sorted((folder / layout.entity).glob("*.parquet")))
