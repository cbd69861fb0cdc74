"""Feature rows on their topic: the numbers of entities as of their last event, in columns.

A row in the online store was in the topic first. A row may come twice, after a crash; `position`
grows with what a row includes, so of an entity's rows with one position any will do.

    U entities   F features that are numbers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.broker.record import Record
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.sample_intake import MAX_TIME_MS, UNREADABLE
from headrace.features.rows.state_row import Rows
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.table import LAYOUTS
from headrace.sample import MAX_MESSAGE_BYTES
from headrace.skipped import Skipped, place

TOPIC: Final = "feature-rows"
_NUM_NUMBERS: Final = {layout.entity: len(layout.numbers) for layout in LAYOUTS}
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class FeatureRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one kind of entity that changed in one step of a worker.

    Arrays are little-endian bytes; the properties give them back in shape.
    """

    entity: str
    schema: Number  # of the views' numbers, in the table that made them
    partition: Number  # whose positions these are; of merged entities: that of the worker's answer
    ids: tuple[str, ...]  # [U]
    event_time_ms: bytes  # int64 [U]
    position: bytes  # int64 [U]
    numbers: bytes  # float32 [U, F]

    @property
    def event_time_ms_U(self) -> Ints:
        return np.frombuffer(self.event_time_ms, "<i8")

    @property
    def position_U(self) -> Ints:
        return np.frombuffer(self.position, "<i8")

    @property
    def number_UF(self) -> NDArray[np.float32]:
        numbers = np.frombuffer(self.numbers, "<f4")
        return numbers.reshape(len(self.ids), len(numbers) // max(len(self.ids), 1))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FeatureRows)


def numbered(
    layout: Layout,
    partition: int,
    ids: Sequence[str],
    rows: Rows,
    number_UF: NDArray[np.float32] | None = None,
) -> FeatureRows:
    """The numbers of these rows, each as of its last event, for a caller that has them or not."""
    if number_UF is None:
        number_UF = layout.number_values(rows["state"], rows["event_time_ms"])
    columns = (rows["event_time_ms"], rows["position"], number_UF)
    return FeatureRows(
        layout.entity, VIEW_SCHEMA, partition, tuple(ids), *(column.tobytes() for column in columns)
    )


def encode_feature_rows(rows: FeatureRows) -> Iterator[bytes]:
    """The rows as messages, each of a size that brokers take."""
    if not rows.ids:
        return
    longest = max(len(id_) for id_ in rows.ids) * 4  # bytes that a character has at most
    width = longest + 8 + (16 + 4 * rows.number_UF.shape[1])
    size = max(MAX_MESSAGE_BYTES // width, 1)
    for start in range(0, len(rows.ids), size):
        part = slice(start, start + size)
        columns = (rows.event_time_ms_U, rows.position_U, rows.number_UF)
        taken = (column[part].tobytes() for column in columns)
        yield _encoder.encode(
            FeatureRows(rows.entity, rows.schema, rows.partition, rows.ids[part], *taken)
        )


def rows_in(record: Record, skipped: Skipped) -> FeatureRows | None:
    """The rows in a message of the topic; None, and counted, if unreadable or inconsistent."""
    where = place(record.partition, record.offset)
    if record.num_lost:
        skipped.add(TOPIC, "a damaged batch", where, record.num_lost)
        return None
    try:
        rows = decode_feature_rows(record.value)
    except UNREADABLE as error:
        skipped.add(TOPIC, "no rows", f"{where}: {error}")
        return None
    fault = _fault_of(rows, record.partition)
    if fault:
        skipped.add(TOPIC, "rows that cannot be", f"{where}: {fault}")
    return None if fault else rows


def _fault_of(rows: FeatureRows, partition: int) -> str:
    """The first fault of rows of this partition, empty if there is none."""
    num, size = len(rows.ids), len(rows.numbers)
    if rows.entity not in _NUM_NUMBERS or not all(rows.ids) or not num:
        return f"{num} ids of {rows.entity!r}"
    if rows.partition != partition or not 0 <= rows.schema < 1 << 32:
        return f"partition {rows.partition}, schema {rows.schema}"
    width = 4 * num * _NUM_NUMBERS[rows.entity] if rows.schema == VIEW_SCHEMA else size
    if not len(rows.event_time_ms) == len(rows.position) == 8 * num or size != width:
        sizes = f"{len(rows.event_time_ms)} bytes of times, {len(rows.position)} of positions"
        return f"{num} ids, {sizes}, {size} of numbers"
    time_ms_U = rows.event_time_ms_U
    if time_ms_U.min() < 0 or time_ms_U.max() > MAX_TIME_MS or rows.position_U.min() < -1:
        return f"times from {time_ms_U.min()} to {time_ms_U.max()}"
    return ""


def decode_feature_rows(payload: bytes) -> FeatureRows:
    """The rows in a message; raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(payload)
