"""Sample intake: messages of the `samples` topic as samples that can be trained on.

Each sample is looked at by itself: one that does not agree with itself spoils neither the others of
its message nor a batch. Those that are passed over are counted.

    X numbers of all samples
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from headrace.action import BIT, CLICK, EVERY_ACTION
from headrace.broker.record import Record
from headrace.event import MAX_ITEMS, MAX_SURFACE
from headrace.events.serving_policy import MAX_DRAWS
from headrace.features.aggregation.facts import MAX_OUTCOME, SHARE_SHIFT, action_masks
from headrace.features.inputs import HISTORY_LENGTH, MAX_SERVED, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.sample import SEQUENCE_JOINED, SEQUENCE_KNOWN, Sample, decode_batch
from headrace.skipped import Skipped, place

TOPIC: Final = "samples"
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
MAX_TIME_MS: Final = 253_402_300_799_999  # the last of the year 9999
MAX_ID: Final = 256
OTHER_BITS: Final = (1 << SHARE_SHIFT) - 1 - EVERY_ACTION  # of an outcome's actions
HISTORY_BYTES: Final = 24 * HISTORY_LENGTH
MAX_AGE_MS: Final = 10**15
MIN_LOG_Q: Final = -50.0
FAR_AHEAD: Final = 1_000_000  # offsets: from here on it is asked whether the log is so long
ASK_EVERY_MS: Final = 1_000

_raw_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_decoder = msgspec.msgpack.Decoder(Sample)


def samples_in(record: Record, skipped: Skipped) -> list[Sample]:
    """The samples in a message that agree with themselves, in order; the others are counted."""
    where = place(record.partition, record.offset)
    if record.num_lost:
        skipped.add(TOPIC, "a damaged batch", where, record.num_lost)
        return []
    try:
        samples = decode_batch(record.value)
    except UNREADABLE:
        samples = _each(record, skipped)
    faults = _faults(samples, record.partition)
    for number, fault in faults.items():
        skipped.add(TOPIC, "a sample that cannot be", f"{where}, sample {number}: {fault}")
    return [sample for number, sample in enumerate(samples) if number not in faults]


def _each(record: Record, skipped: Skipped) -> list[Sample]:
    """The readable samples of a message that cannot be read whole; the others are counted."""
    where = place(record.partition, record.offset)
    try:
        parts = _raw_decoder.decode(record.value)
    except UNREADABLE as error:
        skipped.add(TOPIC, "no samples", f"{where}: {error}")
        return []
    samples = []
    for number, part in enumerate(parts):
        try:
            samples.append(_decoder.decode(part))
        except UNREADABLE as error:
            skipped.add(TOPIC, "no sample", f"{where}, sample {number}: {error}")
    return samples


def _faults(samples: Sequence[Sample], partition: int) -> dict[int, str]:
    """Why some of these samples cannot be, by their numbers. Features are looked at together: that
    is most of the work, and nearly all are right."""
    found = {n: why for n, one in enumerate(samples) if (why := fault_of(one, partition))}
    ours = {n: s for n, s in enumerate(samples) if n not in found and s.schema == INPUT_SCHEMA}
    if ours and _fault_of_features(list(ours.values())):
        found |= {n: why for n, one in ours.items() if (why := _fault_of_features([one]))}
    return found


def fault_of(sample: Sample, partition: int) -> str:
    """The first fault of a sample of this partition, its features' values aside; empty if none."""
    num = len(sample.item_keys)
    if not 1 <= num <= MAX_ITEMS:
        return f"{num} items"
    if len(sample.outcomes) != num or len(sample.positions) not in (0, num):
        return f"{num} items, {len(sample.outcomes)} outcomes, {len(sample.positions)} positions"
    if sample.source_partition != partition:
        return f"it is of partition {sample.source_partition}"
    if sample.source_offset < 0 or sample.sequence not in (SEQUENCE_KNOWN, SEQUENCE_JOINED):
        return f"offset {sample.source_offset} in sequence {sample.sequence}"
    if len(sample.request_id) > MAX_ID or len(sample.surface) > MAX_SURFACE:
        return f"{len(sample.request_id)} characters of a request, {len(sample.surface)} of surface"
    if not (0 <= sample.event_time_ms <= MAX_TIME_MS and -1 <= sample.arrival_ms <= MAX_TIME_MS):
        return f"event time {sample.event_time_ms}, arrival {sample.arrival_ms}"
    if not (0 <= sample.labelled <= EVERY_ACTION and 0 <= sample.schema < 1 << 32):
        return f"actions {sample.labelled}, schema {sample.schema}"
    for fault in (_fault_of_numbers, _fault_of_draw, _fault_of_propensity, _fault_of_sizes):
        if why := fault(sample):
            return why
    return ""


def _fault_of_numbers(sample: Sample) -> str:
    keys = (sample.user_key, *sample.user_word_keys, *sample.item_keys)
    if min(keys) < 1 or max(keys) >= 1 << 63:
        return f"keys from {min(keys)} to {max(keys)}"
    for outcome in sample.outcomes:
        if not 0 <= outcome <= MAX_OUTCOME or outcome & OTHER_BITS:
            return f"outcome {outcome}"
    if sample.positions and not -1 <= min(sample.positions) <= max(sample.positions) <= 1_000_000:
        return f"positions from {min(sample.positions)} to {max(sample.positions)}"
    return ""


def _fault_of_draw(sample: Sample) -> str:
    """Of a drawn request the first item was chosen, and the others were drawn beside it."""
    if not sample.log_q:
        return ""
    num, size = len(sample.item_keys), len(sample.log_q)
    if size != 4 * num or num < 2:
        return f"{num} items, {size} bytes of log q"
    if not sample.outcomes[0] & BIT[CLICK] or any(sample.outcomes[1:]):
        return f"outcomes {sample.outcomes[:5]} of what was drawn"
    if not ((sample.log_q_N <= 0) & (sample.log_q_N >= MIN_LOG_Q)).all():
        return "log q that is none"
    return ""


def _fault_of_propensity(sample: Sample) -> str:
    if not 0 <= sample.num_draws <= MAX_DRAWS or len(sample.policy) > 2 * MAX_ID + 1:
        return f"{sample.num_draws} draws, {len(sample.policy)} characters of a policy"
    if not sample.propensity:
        return ""
    if len(sample.propensity) != 4 * len(sample.item_keys):
        return f"{len(sample.item_keys)} items, {len(sample.propensity)} bytes of propensities"
    known = sample.propensity_N[~np.isnan(sample.propensity_N)]
    return "" if ((known >= 0) & (known <= 1)).all() else "propensities that are none"


def _fault_of_sizes(sample: Sample) -> str:
    """Sizes of this build's table are known, of others only that they must agree."""
    num = len(sample.item_keys)
    if sample.schema == INPUT_SCHEMA:
        fits = len(sample.dense) == 4 * num * NUM_DENSE and len(sample.history) == HISTORY_BYTES
    else:
        fits = not len(sample.dense) % (4 * num) and not len(sample.history) % 24
    if fits:
        return ""
    return f"{num} items, {len(sample.dense)} bytes of features, {len(sample.history)} of past"


def _fault_of_features(samples: Sequence[Sample]) -> str:
    """The first fault of the features of samples of this build's table; empty if none."""
    dense_X = np.frombuffer(b"".join([sample.dense for sample in samples]), "<f4")
    if dense_X.size and not np.abs(dense_X).max() <= MAX_SERVED:  # so is what is not finite
        return "features that are not finite or out of range"
    past = b"".join([sample.history for sample in samples])
    key_X, age_X, outcome_X = (
        np.frombuffer(past, "<i8").reshape(-1, 3, HISTORY_LENGTH).swapaxes(0, 1)
    )
    known = key_X.min() >= 0 and age_X.max() <= MAX_AGE_MS and age_X.min() >= -MAX_AGE_MS
    known = known and outcome_X.min() >= 0 and outcome_X.max() <= MAX_OUTCOME
    return (
        "" if known and action_masks(outcome_X).max() <= EVERY_ACTION else "a past that cannot be"
    )


class KnownOffsets:
    """Whether the events log is so long that an event of this offset can be in it: a sample from
    beyond its end would let all that come after it look as if they were taken. Time is an argument.
    """

    def __init__(self, ends_of_log: Callable[[], Mapping[int, int]]) -> None:
        self._ends_of_log, self._asked_ms = ends_of_log, -ASK_EVERY_MS
        self._ends: Mapping[int, int] = {}

    def may_be(self, partition: int, offset: int, now_ms: int) -> bool:
        """Whether the log may hold this offset. Its ends are asked for again only for an offset far
        beyond the last known end, and at most every `ASK_EVERY_MS`."""
        if offset < self._ends.get(partition, 0) + FAR_AHEAD:
            return True
        if now_ms - self._asked_ms >= ASK_EVERY_MS:
            self._ends, self._asked_ms = self._ends_of_log(), now_ms
        return offset < self._ends.get(partition, 0)


def without_those_beyond(
    samples: Sequence[Sample], known: KnownOffsets, skipped: Skipped, now_ms: int
) -> list[Sample]:
    """The samples whose events can be in the log; the others are counted."""
    found = []
    for sample in samples:
        if known.may_be(sample.source_partition, sample.source_offset, now_ms):
            found.append(sample)
        else:
            where = place(sample.source_partition, sample.source_offset)
            skipped.add(TOPIC, "of an event beyond the log's end", f"event at {where}")
    return found
