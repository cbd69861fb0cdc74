"""The archived features of requests: the ones that training read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.config import Settings
from headrace.events.declared import word_codes
from headrace.features.aggregation.facts import Ints
from headrace.features.schema import INPUT_SCHEMA
from headrace.offline.folder import SAMPLES, between, log_folder
from headrace.offline.period import Period
from headrace.offline.tables import CONTEXT, SAMPLE_SCHEMA
from headrace.sample import Sample

_COLUMNS: Final = (
    *("source_partition", "source_offset", "lane", "event_time_ms"),
    *("schema", "item_keys", "dense", "history", CONTEXT),
)

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
