"""The archived impressions that tell their propensity: what a policy is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headrace import config
from headrace.broker.record import Record
from headrace.errors import ServiceError
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.keys import key
from headrace.offline.archived_samples import archived_impressions
from headrace.offline.folder import SAMPLES, log_folder
from headrace.offline.tables import sample_tables
from headrace.sample import SEQUENCE_JOINED, Sample, encode_batches

TIME_MS = 1_714_554_000_000


def sample(offset: int, propensities: Sequence[float], clicked: int, policy: str) -> Sample:
    """A request of two items, the first clicked or not."""
    return Sample(
        source_partition=0,
        source_offset=offset,
        sequence=SEQUENCE_JOINED,
        schema=INPUT_SCHEMA,
        request_id=f"r{offset}",
        event_time_ms=TIME_MS,
        arrival_ms=TIME_MS,
        user_key=7,
        user_word_keys=(),
        item_keys=(key("a"), key("b")),
        outcomes=(clicked, 0),
        labelled=1,
        dense=np.zeros((2, NUM_DENSE), "<f4").tobytes(),
        history=np.zeros((3, HISTORY_LENGTH), "<i8").tobytes(),
        positions=(0, 1),
        propensity=np.array(propensities, "<f4").tobytes(),
        policy=policy,
    )


def archived(home: Path, samples: Sequence[Sample]) -> config.Settings:
    """The settings of an archive that has these samples."""
    settings = config.load({"HEADRACE_HOME": str(home)})
    (message,) = encode_batches(samples)
    tables = sample_tables([Record(0, 0, 0, b"", message)])
    log_folder(settings, SAMPLES).write(0, 0, 1, tables)
    return settings


def test_impressions_come_back_with_propensity_outcome_and_policy(tmp_path: Path) -> None:
    one = sample(0, [0.75, 0.25], 1, "epsilon_greedy@1")
    again = msgspec.structs.replace(one, outcomes=(0, 0))  # sent twice: the last counts
    half = sample(1, [np.nan, 0.5], 1, "greedy@2")
    before = sample(2, [], 1, "")
    unlabelled = msgspec.structs.replace(sample(3, [1, 1], 1, "greedy@2"), labelled=0)
    log = archived_impressions(archived(tmp_path, [one, again, half, before, unlabelled]))
    assert log.item_N.tolist() == [key("a"), key("b"), key("b")]
    assert log.position_N.tolist() == [0, 1, 1] and log.user_N.tolist() == [7, 7, 7]
    assert log.request_N.tolist() == [key("r0"), key("r0"), key("r1")]
    assert log.reward_N.tolist() == [0, 0, 0] and log.propensity_N.tolist() == [0.75, 0.25, 0.5]
    assert log.policies == {"epsilon_greedy@1": 2, "greedy@2": 1}


def test_an_archive_without_propensities_says_what_is_expected(tmp_path: Path) -> None:
    settings = archived(tmp_path, [sample(0, [], 1, "")])
    with pytest.raises(ServiceError, match="no archived impression has a propensity"):
        archived_impressions(settings)
