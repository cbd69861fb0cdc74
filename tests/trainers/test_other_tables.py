"""The trainer across a change of the feature table: samples and checkpoints of another one."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from trainer_servers import send

from headrace import config
from headrace.clock import now_ms
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.table import SCHEMA
from headrace.sample import LANE_KNOWN, Sample
from trainers.online import OnlineTrainer

pytestmark = pytest.mark.services

OTHER = SCHEMA ^ 1
NUM_EACH = 20


def sample(offset: int, schema: int, num_dense: int) -> Sample:
    return Sample(
        source_partition=0,
        source_offset=offset,
        lane=LANE_KNOWN,
        schema=schema,
        request_id=f"r{offset}",
        event_time_ms=now_ms(),
        arrival_ms=now_ms(),
        user_key=1,
        user_token_keys=(),
        item_keys=(2,),
        outcomes=(offset % 2,),
        labelled=1,
        dense=np.zeros((1, num_dense), "<f4").tobytes(),
        history=np.zeros((3, HISTORY_LENGTH), "<i8").tobytes(),
    )


def run(trainer: OnlineTrainer, num_samples: int) -> None:
    """Step until so many samples are trained; then its connections end, as with its process."""
    later_ms = now_ms() + 30_000
    while trainer.learner.num_samples < num_samples and now_ms() < later_ms:
        trainer.step()
    trainer.close()


def test_samples_and_checkpoints_of_another_table_are_told_and_left_out(
    settings: config.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    old = [sample(n, OTHER, NUM_DENSE + 3) for n in range(NUM_EACH)]
    new = [sample(NUM_EACH + n, SCHEMA, NUM_DENSE) for n in range(NUM_EACH)]
    send(settings, [*old, *new])
    trainer = OnlineTrainer(settings, now_ms)
    run(trainer, NUM_EACH)
    assert trainer.learner.num_samples == NUM_EACH
    told = [r.getMessage() for r in caplog.records if "are skipped" in r.getMessage()]
    assert told and f"{OTHER:08x}" in told[0] and len(told) == 1

    state = {**trainer.state(), "schema": OTHER, "guarded": {"of": "other columns"}}
    after = OnlineTrainer(settings, now_ms)
    after.load_state(state)
    assert "a new model begins" in caplog.text and after.learner.num_samples == 0
    send(settings, [*new, sample(2 * NUM_EACH, SCHEMA, NUM_DENSE)])
    run(after, 1)
    assert after.learner.num_samples == 1, "those that the other model was trained on are over"


def test_a_checkpoint_of_a_build_without_a_guard_is_told_and_its_positions_are_kept(
    settings: config.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    send(settings, [sample(n, SCHEMA, NUM_DENSE) for n in range(NUM_EACH)])
    trainer = OnlineTrainer(settings, now_ms)
    run(trainer, NUM_EACH)
    state = trainer.state()
    old = {**state["samples"], "learner": {}, "newest_event_ms": 0, "schema": SCHEMA}
    after = OnlineTrainer(settings, now_ms)
    after.load_state(old)
    assert "a new model begins" in caplog.text
    send(settings, [sample(NUM_EACH, SCHEMA, NUM_DENSE)])
    run(after, 1)
    assert after.learner.num_samples == 1
