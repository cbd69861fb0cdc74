"""Versions that are held: the trainer publishes nothing worse, and says so, also over a restart."""

from __future__ import annotations

import io
import itertools
import logging
from contextlib import closing

import numpy as np
import pytest
import torch
from redis import Redis
from trainer_servers import send

from headrace import config
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.monitoring.documents import TrainDocument
from headrace.monitoring.status import StatusBoard
from headrace.registry.subscriber import Subscriber
from headrace.sample import SEQUENCE_KNOWN, Sample
from trainers.online import OnlineTrainer

pytestmark = pytest.mark.services

NOW_MS = 1_700_000_000_000


def sample(offset: int, flipped: bool = False) -> Sample:
    """A request of eight items, whose clicks depend on the first feature."""
    random = np.random.default_rng(offset)
    dense_NF = random.normal(0, 1, (8, NUM_DENSE)).astype("<f4")
    clicked_N = (random.random(8) < 1 / (1 + np.exp(-4 * dense_NF[:, 0]))) ^ flipped
    return Sample(
        source_partition=0,
        source_offset=offset,
        sequence=SEQUENCE_KNOWN,
        schema=INPUT_SCHEMA,
        request_id=f"r{offset}",
        event_time_ms=NOW_MS + offset,
        arrival_ms=NOW_MS + offset,
        user_key=offset + 1,
        user_word_keys=(),
        item_keys=tuple((random.integers(1, 500, 8) + 1).tolist()),
        outcomes=tuple(clicked_N.astype(int).tolist()),
        labelled=1,
        dense=dense_NF.tobytes(),
        history=np.zeros((3, HISTORY_LENGTH), "<i8").tobytes(),
    )


def run(trainer: OnlineTrainer, num_steps: int) -> None:
    for _ in range(num_steps):
        trainer.step()


def published(settings: config.Settings) -> int:
    with closing(Subscriber(settings)) as models:
        newest = models.newest()
    return newest.version if newest else 0


def held(settings: config.Settings) -> str:
    with closing(Redis.from_url(settings.redis_url)) as redis:
        documents = StatusBoard(redis, settings.namespace).read(TrainDocument)
    return max(documents, key=lambda document: document.updated_ms).held


def test_flipped_labels_are_never_published_and_true_ones_are_again(
    settings: config.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Half the samples that a good version has seen come again with their labels turned over."""
    caplog.set_level(logging.WARNING)
    settings = config.changed(settings, batch_size=128, checkpoint_every_s=1e-3)
    seconds = itertools.count()
    trainer = OnlineTrainer(settings, lambda: NOW_MS + 1_000 * next(seconds))
    send(settings, [sample(n) for n in range(600)])
    run(trainer, 30)
    good = published(settings)
    assert good and trainer.is_worth_saving and held(settings) == ""
    checkpoint = io.BytesIO()
    torch.save(trainer.state(), checkpoint)

    for first in range(600, 1_000, 100):
        send(settings, [sample(n, flipped=True) for n in range(first, first + 100)])
        run(trainer, 12)
    assert published(settings) == good, "serving keeps what it has"
    assert "normalised entropy" in held(settings)
    assert f"version is held, {good} is served on" in caplog.text
    assert "from positions {0: " in caplog.text
    trainer.close()

    again = OnlineTrainer(settings, lambda: NOW_MS + 1_000 * next(seconds))
    checkpoint.seek(0)
    again.load_state(torch.load(checkpoint, weights_only=True))
    run(again, 30)
    assert published(settings) == good, "what was held is held after a restart, too"
    for first in range(1_000, 1_400, 100):
        send(settings, [sample(n) for n in range(first, first + 100)])
        run(again, 12)
    assert published(settings) > good and held(settings) == ""
    again.close()
