"""Samples: a request's impressions with the features as of then and their labels.

A sample message carries where it came from: the partition and offset of its impression event, and
the lane. Within a lane a partition's offsets only grow, also when a stream worker restarts and
emits some again, so a reader that keeps the last offset it took per (partition, lane) sees each
sample exactly once.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

LANE_KNOWN: Final = 0  # the event carried its outcome, or was a click without an impression
LANE_JOINED: Final = 1  # the outcome came later, within the attribution window


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One request: `N` items shown, their labels, and the features of both as of the request.

    Arrays are little-endian bytes; the properties give them back in shape.
    """

    source_partition: int
    source_offset: int
    lane: int
    schema: int  # of the feature table that made it
    request_id: str
    event_time_ms: int
    arrival_ms: int  # when the event reached the broker
    user_key: int
    user_token_keys: tuple[int, ...]  # the user's attributes
    item_keys: tuple[int, ...]  # [N]
    clicked: tuple[int, ...]  # [N] 0 or 1
    dense: bytes  # float32 [N, F]
    history: bytes  # int64 [3, T]: item keys, ages in ms, clicked

    @property
    def num_impressions(self) -> int:
        return len(self.item_keys)

    @property
    def dense_NF(self) -> NDArray[np.float32]:
        return np.frombuffer(self.dense, dtype="<f4").reshape(self.num_impressions, -1)

    @property
    def history_3T(self) -> NDArray[np.int64]:
        return np.frombuffer(self.history, dtype="<i8").reshape(3, -1)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Sample)


def encode(sample: Sample) -> bytes:
    """The sample as the bytes that `decode` reads."""
    return _encoder.encode(sample)


def decode(payload: bytes) -> Sample:
    """The sample in these bytes; raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(payload)
