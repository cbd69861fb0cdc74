"""Features that serving logged with an impression: training reads them, if they can be read."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from headrace.broker.record import Record
from headrace.event import ImpressionEvent, Served, Shown, encode
from headrace.features.aggregation.facts import MAX_OUTCOME
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.rows.merged import MergedState
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.serving_key import ServingKey
from headrace.positions.commit import Commit
from headrace.sample import Sample
from headrace.stream.step.intake import IntakeRules, decode_records
from headrace.stream.step.partition import Partition, PartitionSettings

NOW_MS = 1_714_554_000_000
KEY = ServingKey(bytes(range(32)))


def logged(
    dense: float = 0.5, clicked: int = 1, schema: int = INPUT_SCHEMA, rows: int = 1
) -> Served:
    """What serving would log for one item, with one thing about it changed."""
    dense_NF, history_3T = np.full((rows, NUM_DENSE), dense), np.zeros((3, HISTORY_LENGTH))
    history_3T[2, 3] = clicked
    return Served(schema, dense_NF.astype("<f4").tobytes(), history_3T.astype("<i8").tobytes())


def impression(features: Served, clicked: bool | None = True) -> ImpressionEvent:
    """An impression with these features, as a replica signs it."""
    shown = (Shown("a", clicked=clicked),)
    return KEY.sign(ImpressionEvent("e", NOW_MS, "ann", "r1", shown, served=features))


def processed(event: ImpressionEvent, key: ServingKey | None = KEY) -> tuple[Sample, Partition]:
    """The sample of a new user's impression, and the partition after it."""
    rules = PartitionSettings(dedupe_window=10, click_window_ms=1_000)
    partition = Partition(0, Commit(), MergedState(lambda item_id: None), rules)
    record = Record(0, 0, NOW_MS, b"", encode(event))
    decoded = decode_records([record], NOW_MS, IntakeRules(key=key))
    partition.add_users([event.user_id], [None], [()])
    effects = [partition.process(decoded, NOW_MS), partition.process([], NOW_MS + 1_000)]
    (sample,) = [sample for each in effects for sample in each.samples]
    return sample, partition


def sampled_with(features: Served, clicked: bool | None) -> Sample:
    """The sample of a new user's impression that came with these features."""
    sample, partition = processed(impression(features, clicked))
    assert partition.commit.unsigned == 0
    return sample


@pytest.mark.parametrize("clicked", [True, None], ids=["known", "joined"])
def test_the_features_that_serving_logged_are_those_of_the_sample(clicked: bool | None) -> None:
    features = logged()
    sample = sampled_with(features, clicked)
    assert (sample.dense, sample.history) == (features.dense, features.history)


@pytest.mark.parametrize("clicked", [True, None], ids=["known", "joined"])
@pytest.mark.parametrize(
    "features",
    [
        logged(dense=np.nan),
        logged(dense=np.inf),
        logged(dense=-1e30),
        logged(clicked=MAX_OUTCOME + 1),
        logged(clicked=-1),
        logged(schema=INPUT_SCHEMA ^ 1),
        logged(rows=2),
        Served(INPUT_SCHEMA, b"", b""),
    ],
    ids=["nan", "inf", "huge", "no action", "action -1", "schema", "rows", "empty"],
)
def test_logged_features_that_cannot_be_trained_on_are_made_anew(
    features: Served, clicked: bool | None
) -> None:
    sample = sampled_with(features, clicked)
    assert sample.dense_NF.shape == (1, NUM_DENSE) and not sample.history_3T.any()
    assert np.isfinite(sample.dense_NF).all() and (sample.dense_NF != 0.5).any()


def served_as(event: ImpressionEvent, **changes: Any) -> ImpressionEvent:
    """The impression with other served features under the same signature."""
    assert event.served is not None
    return msgspec.structs.replace(event, served=msgspec.structs.replace(event.served, **changes))


SIGNED = impression(logged())
FORGED = {
    "unsigned": served_as(SIGNED, signature=b""),
    "cut": served_as(SIGNED, signature=SIGNED.served.signature[:8] if SIGNED.served else b""),
    "other features": served_as(SIGNED, dense=logged(dense=0.6).dense),
    "other history": served_as(SIGNED, history=logged(clicked=0).history),
    "another user": msgspec.structs.replace(SIGNED, user_id="eve"),
    "another request": msgspec.structs.replace(SIGNED, request_id="r2"),
    "another item": msgspec.structs.replace(SIGNED, items=(Shown("b", clicked=True),)),
    "endless schema": served_as(SIGNED, schema=10**30),
}


@pytest.mark.parametrize("event", FORGED.values(), ids=FORGED)
def test_features_that_no_replica_signed_are_made_anew_and_counted(event: ImpressionEvent) -> None:
    sample, partition = processed(event)
    (expected, _) = processed(msgspec.structs.replace(event, served=None))
    assert sample == expected
    assert (partition.commit.accepted, partition.commit.unsigned) == (1, 1)
    assert "partition 0, offset 0" in partition.first_corrected["unsigned"]


def test_without_a_key_or_with_another_one_no_served_features_are_taken() -> None:
    for key in (None, ServingKey(bytes(32))):
        sample, partition = processed(SIGNED, key)
        assert partition.commit.unsigned == 1 and (sample.dense_NF != 0.5).any()


def test_a_key_is_not_told_when_its_owner_is_printed() -> None:
    assert "secret" not in repr(IntakeRules(key=KEY)) and repr(KEY.secret) not in repr(KEY)
