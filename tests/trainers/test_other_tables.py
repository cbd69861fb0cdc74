"""The trainer across a change of the inputs: samples, checkpoints and versions of others."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from redis import Redis
from trainer_servers import plain_sample, send

from headrace import config
from headrace.catalogue.vectors import ContentVectors
from headrace.clock import now_ms
from headrace.errors import ConfigError, ServiceError
from headrace.features.inputs import NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.registry.manifest import Manifest
from headrace.registry.publisher import Publisher
from headrace.registry.versions import load_weights
from headrace.sample import Sample
from trainers.online import OnlineTrainer
from trainers.recipe import check_continues, ranker_config

pytestmark = pytest.mark.services

OTHER = INPUT_SCHEMA ^ 1
NUM_EACH = 20


def sample(offset: int, schema: int, num_dense: int) -> Sample:
    dense = np.zeros((1, num_dense), "<f4").tobytes()
    return plain_sample(offset, now_ms(), schema=schema, dense=dense)


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
    new = [sample(NUM_EACH + n, INPUT_SCHEMA, NUM_DENSE) for n in range(NUM_EACH)]
    send(settings, [*old, *new])
    trainer = OnlineTrainer(settings, now_ms)
    run(trainer, NUM_EACH)
    assert trainer.learner.num_samples == NUM_EACH
    (told,) = [r.getMessage() for r in caplog.records if "are skipped" in r.getMessage()]
    assert f"{OTHER:08x}" in told and "start `headrace stream` of this build" in told

    state = {**trainer.state(), "schema": OTHER, "guarded": {"of": "other columns"}}
    after = OnlineTrainer(settings, now_ms)
    after.load_state(state)
    assert "a new model begins" in caplog.text and after.learner.num_samples == 0
    send(settings, [*new, sample(2 * NUM_EACH, INPUT_SCHEMA, NUM_DENSE)])
    run(after, 1)
    assert after.learner.num_samples == 1, "those that the other model was trained on are over"


def test_a_checkpoint_of_a_build_without_a_guard_is_told_and_its_positions_are_kept(
    settings: config.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    send(settings, [sample(n, INPUT_SCHEMA, NUM_DENSE) for n in range(NUM_EACH)])
    trainer = OnlineTrainer(settings, now_ms)
    run(trainer, NUM_EACH)
    state = trainer.state()
    old = {**state["samples"], "learner": {}, "newest_event_ms": 0, "schema": INPUT_SCHEMA}
    after = OnlineTrainer(settings, now_ms)
    after.load_state(old)
    assert "a new model begins" in caplog.text
    send(settings, [sample(NUM_EACH, INPUT_SCHEMA, NUM_DENSE)])
    run(after, 1)
    assert after.learner.num_samples == 1


def test_a_version_of_another_table_is_refused_by_name_and_hinders_no_trainer(
    settings: config.Settings,
) -> None:
    wanted = ranker_config(settings, ContentVectors.of(settings))
    manifest = Manifest(
        version=0,
        uri="",
        sha256="",
        created_ms=now_ms(),
        schema=OTHER,
        model=replace(wanted, num_dense=NUM_DENSE + 1),
        num_samples=1,
        newest_event_ms=1,
    )
    with Redis.from_url(settings.redis_url) as redis, closing(Publisher(settings, redis)) as models:
        published = models.publish({}, manifest)
        with pytest.raises(ServiceError, match=f"{OTHER:08x}.*{INPUT_SCHEMA:08x}.*headrace train"):
            load_weights(published)
        check_continues(settings)
        models.publish({}, msgspec.structs.replace(manifest, schema=INPUT_SCHEMA))
    with pytest.raises(ConfigError, match=f"num_dense {NUM_DENSE + 1} .now {NUM_DENSE}"):
        check_continues(settings)
