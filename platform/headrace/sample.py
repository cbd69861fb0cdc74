"""Samples: a request's impressions with the features as of then and their labels.

A sample carries where it came from: the partition and offset of its impression event, and the
sequence. A partition emits samples in two sequences: KNOWN, at once; JOINED, when the window
closes. Within a sequence a partition's offsets only grow, also when a stream worker restarts and
emits some again, so a reader that keeps the last offset it took per (partition, sequence) sees each
sample exactly once. A message holds the samples of one step of a worker.

    N items shown   F features   T history
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.action import BIT, CLICK

SEQUENCE_KNOWN: Final = 0  # the event carried its outcome, or was a click without an impression
SEQUENCE_JOINED: Final = 1  # the outcome came later, within the attribution window

MAX_MESSAGE_BYTES: Final = 500_000  # half of what brokers take by default


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request: the items shown, their labels, and the features of both as of the request.

    Arrays are little-endian bytes; the properties give them back in shape. Outcomes are those of
    `headrace.features.aggregation.facts.outcome`, whose bits are `headrace.action.BIT`.
    """

    source_partition: int
    source_offset: int
    sequence: int
    schema: int  # of the inputs that the ranker reads of it
    request_id: str
    event_time_ms: int
    arrival_ms: int  # when the event reached the broker
    user_key: int
    user_word_keys: tuple[int, ...]  # the user's attributes
    item_keys: tuple[int, ...]  # [N]
    outcomes: tuple[int, ...]  # [N] what came of each impression
    labelled: int  # the actions that are labels, as bits; none of a click without an impression
    dense: bytes  # float32 [N, F]
    history: bytes  # int64 [3, T]: item keys, ages in ms, outcomes
    positions: tuple[int, ...] = ()  # [N] in the slate, `POSITION_UNKNOWN`; empty: all unknown
    surface: str = ""  # where the items were shown; empty: not known
    log_q: bytes = b""  # float32 [N] of a request that was drawn, the chosen item first
    context: dict[str, str | float] | None = None  # what the request told beside, if anything
    propensity: bytes = b""  # float32 [N] at its position, NaN: unknown; empty: all unknown
    policy: str = ""  # under which these are, with its version; empty: not known
    num_draws: int = 0  # that estimate them; 0: they are exact

    @property
    def num_impressions(self) -> int:
        return len(self.item_keys)

    @property
    def clicked(self) -> tuple[int, ...]:
        """[N]: 0 or 1."""
        return tuple(int(outcome & BIT[CLICK] != 0) for outcome in self.outcomes)

    @property
    def dense_NF(self) -> NDArray[np.float32]:
        return np.frombuffer(self.dense, dtype="<f4").reshape(self.num_impressions, -1)

    @property
    def log_q_N(self) -> NDArray[np.float32]:
        """The logarithm of how probable each item was to be drawn; empty where they were shown."""
        return np.frombuffer(self.log_q, dtype="<f4")

    @property
    def propensity_N(self) -> NDArray[np.float32]:
        """How probable each item was at its position, NaN where unknown; empty: all unknown."""
        return np.frombuffer(self.propensity, dtype="<f4")

    @property
    def history_3T(self) -> NDArray[np.int64]:
        return np.frombuffer(self.history, dtype="<i8").reshape(3, -1)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Sample])


def encode_batches(samples: Sequence[Sample]) -> Iterator[bytes]:
    """The samples as messages, in order, each of a size that brokers take."""
    batch: list[msgspec.Raw] = []
    size = 0
    for sample in samples:
        payload = _encoder.encode(sample)
        if batch and size + len(payload) > MAX_MESSAGE_BYTES:
            yield _encoder.encode(batch)
            batch, size = [], 0
        batch.append(msgspec.Raw(payload))
        size += len(payload)
    if batch:
        yield _encoder.encode(batch)


def decode_batch(payload: bytes) -> list[Sample]:
    """The samples in a message; raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(payload)
