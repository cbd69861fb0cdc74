"""Samples out of labelled requests, whose features are known by then."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from headrace.event import ImpressionEvent
from headrace.events.declared import as_declared
from headrace.features.schema import INPUT_SCHEMA
from headrace.keys import key
from headrace.sample import Sample
from headrace.stream.step.facts_of_step import Labelled
from headrace.stream.step.partition_rows import PartitionRows


def samples_of(partition: int, complete: Sequence[Labelled], rows: PartitionRows) -> list[Sample]:
    """The samples of a partition's requests, in this order; nothing came of what was drawn."""
    item_ids = [item_id for one in complete for item_id in one.request.item_ids]
    keys_left = iter(rows.item_keys(item_ids).tolist())
    return [_sample(partition, labelled, keys_left) for labelled in complete]


def _sample(partition: int, labelled: Labelled, keys_left: Iterator[int]) -> Sample:
    request = labelled.request
    event, record, features = request.event, request.record, request.features
    assert features is not None, "every request of the step has got its features"
    impression = event if isinstance(event, ImpressionEvent) else None
    policy = impression.policy if impression else None
    num_drawn = len(request.item_ids) - len(labelled.outcomes)
    return Sample(
        source_partition=partition,
        source_offset=record.offset,
        sequence=request.sequence,
        schema=INPUT_SCHEMA,
        request_id=event.request_id or event.event_id,
        event_time_ms=event.event_time_ms,
        arrival_ms=record.arrival_ms,
        user_key=key(event.user_id),
        user_word_keys=request.user_word_keys,
        item_keys=tuple(islice(keys_left, len(request.item_ids))),
        outcomes=labelled.outcomes + (0,) * num_drawn,
        labelled=request.labelled,
        dense=features.dense_NF.tobytes(),
        history=features.history_3T.tobytes(),
        positions=impression.positions if impression else (),
        surface=event.surface,
        log_q=request.log_q,
        context=as_declared(event.context) if event.context else None,
        propensity=_propensities(impression) if impression else b"",
        policy=policy.text if policy else "",
        num_draws=policy.num_draws if policy else 0,
    )


def _propensities(event: ImpressionEvent) -> bytes:
    """float32 [N]: of each item at its position, NaN where it is not told; empty if nowhere."""
    for shown in event.items:
        if shown.propensity is not None:
            break
    else:
        return b""
    told = [math.nan if one.propensity is None else one.propensity for one in event.items]
    return np.array(told, "<f4").tobytes()
