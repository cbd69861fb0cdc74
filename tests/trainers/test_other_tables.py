"""The trainer across a change of the feature table: samples and checkpoints of another one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headrace import config
from headrace.broker import LogWriter, Topics, create_topics
from headrace.clock import now_ms
from headrace.datasets.catalogue import write_catalogue
from headrace.datasets.dataset import Dataset, Item, User
from headrace.features.assemble import HISTORY_LENGTH, NUM_DENSE
from headrace.features.table import SCHEMA
from headrace.sample import LANE_KNOWN, Sample, encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
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


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[config.Settings]:
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(tmp_path / "redis") as redis, start_broker(tmp_path / "kafka", plain) as log:
        settings = config.Settings(
            namespace="tables",
            home=str(tmp_path),
            redis_url=redis.url,
            kafka_bootstrap=log.bootstrap,
            num_partitions=1,
            batch_size=8,
        )
        dataset = Dataset("some", (Item("mug"),), (User("ann"),), lambda: iter(()), 0, 0, 0)
        write_catalogue(dataset, config.catalogue_path(settings), now_ms())
        create_topics(settings)
        yield settings


def send(settings: config.Settings, samples: list[Sample]) -> None:
    writer = LogWriter(settings)
    for message in encode_batches(samples):
        writer.send(Topics(settings.namespace).samples, message, partition=0)
    writer.flush()
    writer.close()


def run(trainer: OnlineTrainer, num_samples: int) -> None:
    """Step until so many samples are trained; then its connections end, as with its process."""
    later_ms = now_ms() + 30_000
    while trainer.learner.num_samples < num_samples and now_ms() < later_ms:
        trainer.step()
    assert trainer._reader is not None
    trainer._reader.close()
    trainer._publisher._writer.close()


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

    state = {**trainer.state(), "schema": OTHER, "learner": {"of": "other columns"}}
    after = OnlineTrainer(settings, now_ms)
    after.load_state(state)
    assert "a new model begins" in caplog.text and after.learner.num_samples == 0
    send(settings, [*new, sample(2 * NUM_EACH, SCHEMA, NUM_DENSE)])
    run(after, 1)
    assert after.learner.num_samples == 1, "those that the other model was trained on are over"
