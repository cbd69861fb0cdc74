"""Feature rows on their topic: the numbers of entities as of their last event, in columns.

A row in the online store was in the topic first. A row may come twice, after a crash; `position`
grows with what a row includes, so of an entity's rows with one position any will do.

    U entities   F features that are numbers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.features.facts import Ints
from headrace.features.layout import Layout
from headrace.features.state import Rows
from headrace.features.table import SCHEMA
from headrace.sample import MAX_MESSAGE_BYTES


class FeatureRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one kind of entity that changed in one step of a worker.

    Arrays are little-endian bytes; the properties give them back in shape.
    """

    entity: str
    schema: int  # of the feature table that made them
    partition: int  # whose positions these are; of shared entities: that of the worker's answer
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
        layout.entity, SCHEMA, partition, tuple(ids), *(column.tobytes() for column in columns)
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


def decode_feature_rows(payload: bytes) -> FeatureRows:
    """The rows in a message; raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(payload)
