"""The archived samples: the features that training read, and impressions with propensities.

N impressions   R requests
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.action import BIT, CLICK
from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.event import POSITION_UNKNOWN
from headrace.events.declared import word_codes
from headrace.features.aggregation.facts import Ints
from headrace.features.schema import INPUT_SCHEMA
from headrace.keys import key
from headrace.metrics.off_policy import LoggedImpressions
from headrace.offline.folder import SAMPLES, between, log_folder
from headrace.offline.period import Period
from headrace.offline.tables import CONTEXT, SAMPLE_SCHEMA
from headrace.paths import offline_path
from headrace.sample import Sample

_COLUMNS: Final = (
    *("source_partition", "source_offset", "lane", "event_time_ms"),
    *("schema", "item_keys", "dense", "history", CONTEXT),
)

_LOGGED: Final = (
    *("source_partition", "source_offset", "lane", "request_id", "user_key", "labelled"),
    *("item_keys", "outcomes", "positions", "propensity", "policy"),
)
NOT_NAMED: Final = "not named"

# Of a request: dense [N, F], history [3, T], and the words of its context [W].
Features = tuple[NDArray[np.float32], Ints, Ints]
SampleId = tuple[int, int, int]  # partition, sequence, offset of the event


@dataclass(slots=True)
class ArchivedSamples:
    """The archived features of requests, by where the request came from; the last of two counts."""

    table: pa.Table
    row_of: dict[SampleId, int] = field(default_factory=dict)
    # By partition and sequence.
    last_offset: dict[tuple[int, int], int] = field(default_factory=dict)
    of_other_tables: set[SampleId] = field(default_factory=set)  # their columns are others
    num_drawn_otherwise: int = 0  # taken, with other items beside the one that was chosen

    def __post_init__(self) -> None:
        names = ("source_partition", "lane", "source_offset", "schema")
        columns = (self.table.column(name).to_pylist() for name in names)
        for row, (partition, sequence, offset, schema) in enumerate(zip(*columns, strict=True)):
            if schema == INPUT_SCHEMA:
                self.row_of[partition, sequence, offset] = row
            else:
                self.of_other_tables.add((partition, sequence, offset))
            self.last_offset[partition, sequence] = max(
                offset, self.last_offset.get((partition, sequence), -1)
            )

    def take(self, sample: Sample) -> tuple[Features, Features, Ints] | None:
        """The features of the same request as they were archived, those of the sample, and its
        items' keys; once. Where other items were drawn, as from a catalogue that has changed since,
        only those of the item that was chosen.
        """
        row = self.row_of.pop(_id(sample), None)
        if row is None:
            return None
        dense, history = (self.table.column(name)[row].as_buffer() for name in ("dense", "history"))
        archived_N = np.array(self.table.column("item_keys")[row].as_py(), np.int64)
        dense_NF = np.frombuffer(dense, "<f4").reshape(len(archived_N), -1)
        history_3T, item_N = (
            np.frombuffer(history, "<i8").reshape(3, -1),
            np.array(sample.item_keys),
        )
        same = slice(None)
        if not np.array_equal(archived_N, item_N):
            self.num_drawn_otherwise += 1
            same = slice(1)
        told = msgspec.json.decode(self.table.column(CONTEXT)[row].as_py() or "{}")
        archived_W, made_W = (np.array(word_codes(one), np.int64) for one in (told, sample.context))
        made = sample.dense_NF[same], sample.history_3T, made_W
        return (dense_NF[same], history_3T, archived_W), made, item_N[same]

    def is_of_another_table(self, sample: Sample) -> bool:
        """Whether it was archived as an earlier feature table made it."""
        return _id(sample) in self.of_other_tables

    def may_come(self, sample: Sample) -> bool:
        """Whether the archive has not got so far yet."""
        sequence = (sample.source_partition, sample.sequence)
        return sample.source_offset > self.last_offset.get(sequence, -1)


def _id(sample: Sample) -> SampleId:
    return sample.source_partition, sample.sequence, sample.source_offset


def read_samples(settings: Settings, period: Period) -> ArchivedSamples:
    """The archived features of the requests of a period."""
    folder = log_folder(settings, SAMPLES)
    tables = [
        between(table, period.from_ms, period.to_ms)
        for partition in folder.partitions()
        for table in folder.tables(partition, list(_COLUMNS))
    ]
    none = pa.table({name: pa.array([], SAMPLE_SCHEMA.field(name).type) for name in _COLUMNS})
    # Files of before contexts were told have no column of them.
    every = pa.concat_tables([none, *tables], promote_options="default") if tables else none
    return ArchivedSamples(every.combine_chunks())


def archived_impressions(settings: Settings) -> LoggedImpressions:
    """The impressions of the archived samples whose click is a label; raises `ServiceError` where
    none tells its propensity."""
    folder = log_folder(settings, SAMPLES)
    tables = [
        table.select(list(_LOGGED))
        for partition in folder.partitions()
        for table in folder.tables(partition)
        if {*_LOGGED} <= {*table.column_names}  # files of before propensities were told lack them
    ]
    rows = {_place(row): row for table in tables for row in table.to_pylist() if _tells(row)}
    if not rows:
        raise ServiceError(
            f"{offline_path(settings)}: no archived impression has a propensity and a known "
            "outcome; expected those of `headrace archive`, or a log with --data or --dataset"
        )
    return _together(list(rows.values()))


def _place(row: dict[str, object]) -> tuple[object, ...]:
    """Where a request came from: the last of two rows counts."""
    return row["source_partition"], row["lane"], row["source_offset"]


def _tells(row: dict[str, int | bytes]) -> bool:
    return bool(row["propensity"]) and bool(int(row["labelled"]) & BIT[CLICK])


def _together(rows: list[dict[str, object]]) -> LoggedImpressions:
    table = pa.Table.from_pylist(rows)
    num_R = np.array([len(one) for one in table.column("item_keys").to_pylist()])
    item_N, outcome_N = (_flat(table, name) for name in ("item_keys", "outcomes"))
    position_N = np.concatenate(
        [
            one or np.full(num, POSITION_UNKNOWN)
            for one, num in zip(table.column("positions").to_pylist(), num_R, strict=True)
        ]
    ).astype(np.int64)
    request_R = np.array([key(one) for one in table.column("request_id").to_pylist()])
    propensity_N = np.frombuffer(b"".join(table.column("propensity").to_pylist()), "<f4")
    is_known_N = propensity_N > 0  # NaN is not
    named_R = [one or NOT_NAMED for one in table.column("policy").to_pylist()]
    policy_N = np.repeat(named_R, num_R)[is_known_N]
    return LoggedImpressions(
        item_N=item_N[is_known_N],
        position_N=position_N[is_known_N],
        request_N=np.repeat(request_R, num_R)[is_known_N],
        user_N=np.repeat(table.column("user_key").to_numpy(), num_R)[is_known_N],
        reward_N=(outcome_N[is_known_N] & BIT[CLICK] != 0).astype(np.float64),
        propensity_N=propensity_N[is_known_N].astype(np.float64),
        policies=Counter(policy_N.tolist()),
    )


def _flat(table: pa.Table, name: str) -> np.ndarray:
    return np.concatenate([np.array(one, np.int64) for one in table.column(name).to_pylist()])
