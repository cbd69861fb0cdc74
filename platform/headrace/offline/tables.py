"""Messages of the topics as Arrow tables, and events and samples back from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from headrace.broker.record import Record
from headrace.epoch import EARLIEST_MS, LATEST_MS
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.numbers_message import TOPIC, FeatureRows, rows_in
from headrace.features.rows.sample_intake import MAX_TIME_MS, UNREADABLE, samples_in
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.table import LAYOUTS
from headrace.offline.folder import EVENTS, by_date
from headrace.sample import Sample
from headrace.skipped import Skipped, place

Tables = dict[str, pa.Table]  # by the folder below the log's

EVENT_SCHEMA: Final = pa.schema(
    [
        ("offset", pa.int64()),
        ("arrival_ms", pa.int64()),
        ("event_time_ms", pa.int64()),  # at which it counts; its arrival, for what is no event
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)
CONTEXT: Final = "context"
_KEYS: Final = pa.list_(pa.int64())
# The fields of `Sample` in their order, by the names that archives have had from their beginning.
SAMPLE_SCHEMA: Final = pa.schema(
    [
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
        ("lane", pa.int8()),
        ("schema", pa.int64()),
        ("request_id", pa.string()),
        ("event_time_ms", pa.int64()),
        ("arrival_ms", pa.int64()),
        ("user_key", pa.int64()),
        ("user_token_keys", _KEYS),
        ("item_keys", _KEYS),
        ("outcomes", _KEYS),
        ("labelled", pa.int16()),  # eight bits and no sign
        ("dense", pa.binary()),
        ("history", pa.binary()),
        ("positions", pa.list_(pa.int32())),
        ("surface", pa.string()),
        ("log_q", pa.binary()),
        (CONTEXT, pa.string()),  # as a JSON object
        ("propensity", pa.binary()),
        ("policy", pa.string()),
        ("num_draws", pa.int32()),
    ]
)
# Files of before lack these.
_UNKNOWN: Final = {
    **{"positions": (), "surface": "", "log_q": b"", CONTEXT: "{}"},
    **{"propensity": b"", "policy": "", "num_draws": 0},
}
JUST_AFTER_US: Final = 1  # a row is known from just after the newest event that it includes
OF_ANOTHER_TABLE: Final = "`headrace backfill` computes them anew from the archived events"
_LAYOUTS: Final = {layout.entity: layout for layout in LAYOUTS}


class _Timed(msgspec.Struct):
    event_time_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_TIME_MS)]


_timed = msgspec.json.Decoder(_Timed)


def event_tables(records: Sequence[Record], skipped: Skipped | None = None) -> Tables:
    """Messages of the `events` topic as they came, poison included."""
    for lost in (record for record in records if record.num_lost):
        where = place(lost.partition, lost.offset)
        (skipped or Skipped()).add(EVENTS, "a damaged batch", where, lost.num_lost)
    records = [record for record in records if not record.num_lost]
    columns: list[Sequence[Any]] = [
        [record.offset for record in records],
        [record.arrival_ms for record in records],
        [_event_time_ms(record) for record in records],
        [record.key for record in records],
        [record.value for record in records],
    ]
    arrays = [
        pa.array(column, field.type) for column, field in zip(columns, EVENT_SCHEMA, strict=True)
    ]
    return by_date(pa.Table.from_arrays(arrays, schema=EVENT_SCHEMA))


def records_of(table: pa.Table, partition: int) -> list[Record]:
    """The messages that `event_tables` was given, in order."""
    rows = table.sort_by("offset").select(["offset", "arrival_ms", "key", "value"])
    columns = (column.to_pylist() for column in rows.columns)
    return [Record(partition, *row) for row in zip(*columns, strict=True)]


def sample_tables(records: Sequence[Record], skipped: Skipped | None = None) -> Tables:
    """Messages of the `samples` topic: one row per request, features as served or as of then."""
    skipped = skipped or Skipped()
    samples = [sample for record in records for sample in samples_in(record, skipped)]
    columns = [
        pa.array([_cell(sample, name) for sample in samples], column.type)
        for name, column in zip(Sample.__struct_fields__, SAMPLE_SCHEMA, strict=True)
    ]
    return by_date(pa.Table.from_arrays(columns, schema=SAMPLE_SCHEMA))


def samples_of(table: pa.Table) -> Iterator[Sample]:
    """The samples in these rows, in their order. Rows of before samples told positions,
    surfaces or propensities are of unknown ones, whether those columns are absent or null."""
    columns = [_values(table, name) for name in SAMPLE_SCHEMA.names]
    told = SAMPLE_SCHEMA.names.index(CONTEXT)
    columns[told] = [msgspec.json.decode(one) or None for one in columns[told]]
    return (msgspec.convert(row, Sample) for row in zip(*columns, strict=True))


def _cell(sample: Sample, name: str) -> Any:
    value = getattr(sample, name)
    return msgspec.json.encode(value or {}).decode() if name == CONTEXT else value


def feature_row_tables(records: Sequence[Record], skipped: Skipped | None = None) -> Tables:
    """Messages of the `feature-rows` topic; those of another feature table are counted."""
    by_entity: dict[str, list[FeatureRows]] = {}
    skipped = skipped or Skipped()
    for record in records:
        rows = rows_in(record, skipped)
        if rows is not None and rows.schema == VIEW_SCHEMA:
            by_entity.setdefault(rows.entity, []).append(rows)
        elif rows is not None:
            advice = f"{place(record.partition, record.offset)}: {OF_ANOTHER_TABLE}"
            skipped.add(TOPIC, "rows of another feature table", advice)
    tables: Tables = {}
    for entity, many in by_entity.items():
        table = pa.concat_tables([rows_table(_LAYOUTS[entity], rows) for rows in many])
        tables |= by_date(table, f"{entity}/")
    return tables


def rows_table(layout: Layout, rows: FeatureRows) -> pa.Table:
    """Rows as Feast reads them: `event_timestamp` is just after the newest event in a row, so that
    a join at the time of an impression never sees its outcome."""
    event_us_U = rows.event_time_ms_U * 1_000 + JUST_AFTER_US
    columns = [
        pa.array(rows.ids, pa.string()),
        *map(pa.array, np.ascontiguousarray(rows.number_UF.T)),
        pa.array(np.full(len(rows.ids), rows.partition)),
        pa.array(rows.position_U),
        pa.array(rows.event_time_ms_U),
        pa.array(event_us_U).cast(pa.timestamp("us", tz="UTC")),
    ]
    return pa.Table.from_arrays(columns, schema=rows_schema(layout))


def rows_schema(layout: Layout) -> pa.Schema:
    """The columns of the rows of an entity."""
    return pa.schema(
        [
            (f"{layout.entity}_id", pa.string()),
            *((feature.name, pa.float32()) for feature in layout.numbers),
            ("partition", pa.int64()),
            ("position", pa.int64()),
            ("event_time_ms", pa.int64()),
            ("event_timestamp", pa.timestamp("us", tz="UTC")),
        ]
    )


def _event_time_ms(record: Record) -> int:
    try:
        time_ms = _timed.decode(record.value).event_time_ms
    except UNREADABLE:  # or of a time that no event has
        time_ms = -1
    latest_ms = record.arrival_ms if record.arrival_ms >= EARLIEST_MS else LATEST_MS
    if 0 <= time_ms <= latest_ms:
        return time_ms
    return min(max(record.arrival_ms, 0), MAX_TIME_MS)


def _values(table: pa.Table, name: str) -> list[Any]:
    unknown = _UNKNOWN.get(name)
    if unknown is not None and name not in table.column_names:
        return [unknown] * len(table)
    return [unknown if value is None else value for value in table.column(name).to_pylist()]
