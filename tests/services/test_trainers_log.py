"""The trainer's positions belong to one topic of samples: what is gone is counted, another topic
refused, one that was grown read on; and the commands end with what was wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

import numpy as np
import pytest
from kafka import KafkaAdminClient, TopicPartition
from redis import Redis

from headrace import broker, config
from headrace.broker import LogWriter, Topics, create_topics
from headrace.clock import now_ms
from headrace.datasets.catalogue import write_catalogue
from headrace.datasets.dataset import Dataset, Item, User
from headrace.errors import LogMismatch
from headrace.features.assemble import HISTORY_LENGTH, NUM_DENSE
from headrace.features.table import SCHEMA
from headrace.sample import LANE_KNOWN, Sample, encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from headrace.status import StatusBoard
from trainers.online import OnlineTrainer

pytestmark = pytest.mark.services

PATIENCE_S = 30.0
COMMAND_S = 90.0
namespaces = (f"trained_{number}" for number in count())


@pytest.fixture(scope="module")
def world(
    apache_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[config.Settings]:
    folder = tmp_path_factory.mktemp("trained")
    with (
        start_redis(folder / "redis") as redis,
        start_broker(folder / "kafka", apache_environ) as log,
    ):
        settings = config.Settings(
            home=str(folder / "home"),
            redis_url=redis.url,
            kafka_bootstrap=log.bootstrap,
            num_partitions=2,
            batch_size=8,
            checkpoint_every_s=1.0,
        )
        dataset = Dataset("some", (Item("mug"),), (User("ann"),), lambda: iter(()), 0, 0, 0)
        write_catalogue(dataset, config.catalogue_path(settings), now_ms())
        yield settings


@pytest.fixture
def settings(world: config.Settings, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    monkeypatch.setattr(broker, "DESCRIBE_EVERY_MS", 300)
    settings = config.changed(world, namespace=next(namespaces))
    create_topics(settings)
    return settings


@pytest.fixture
def admin(world: config.Settings) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=world.kafka_bootstrap)) as client:
        yield client


def sample(partition: int, offset: int) -> Sample:
    return Sample(
        source_partition=partition,
        source_offset=offset,
        lane=LANE_KNOWN,
        schema=SCHEMA,
        request_id=f"r{offset}",
        event_time_ms=now_ms(),
        arrival_ms=now_ms(),
        user_key=1,
        user_token_keys=(),
        item_keys=(2,),
        outcomes=(offset % 2,),
        labelled=1,
        dense=np.zeros((1, NUM_DENSE), "<f4").tobytes(),
        history=np.zeros((3, HISTORY_LENGTH), "<i8").tobytes(),
    )


def send(settings: config.Settings, partition: int, offsets: range) -> None:
    """One message each."""
    with closing(LogWriter(settings)) as writer:
        for offset in offsets:
            for message in encode_batches([sample(partition, offset)]):
                writer.send(Topics(settings.namespace).samples, message, partition=partition)
        writer.flush()


def train(trainer: OnlineTrainer, num_samples: int) -> OnlineTrainer:
    deadline = time.monotonic() + PATIENCE_S
    while trainer.learner.num_samples < num_samples:
        assert time.monotonic() < deadline
        trainer.step()
    return trainer


def restarted(trainer: OnlineTrainer, settings: config.Settings) -> OnlineTrainer:
    state = trainer.state()
    trainer.close()
    again = OnlineTrainer(settings, now_ms)
    again.load_state(state)
    return again


def make_anew(admin: KafkaAdminClient, settings: config.Settings, topic: str) -> None:
    admin.delete_topics([topic])
    deadline = time.monotonic() + PATIENCE_S
    while topic not in admin.list_topics():
        assert time.monotonic() < deadline
        create_topics(settings)


def test_samples_that_retention_took_are_counted_over_restarts(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, 0, range(10))
    trainer = restarted(train(OnlineTrainer(settings, now_ms), 10), settings)
    send(settings, 0, range(10, 16))
    admin.delete_records({TopicPartition(Topics(settings.namespace).samples, 0): 13})
    state = restarted(train(trainer, 13), settings).state()
    assert state["lost"] == 3 and state["positions"] == {0: 16, 1: 0}


def test_samples_of_a_topic_that_is_made_anew_are_refused(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, 0, range(10))
    trainer = restarted(train(OnlineTrainer(settings, now_ms), 10), settings)
    make_anew(admin, settings, Topics(settings.namespace).samples)
    with pytest.raises(LogMismatch, match=f"checkpoint belong to .*{settings.namespace}-online"):
        trainer.step()
    trainer.close()


def test_a_checkpoint_from_before_topics_had_an_identity_is_gone_on_with_in_a_grown_topic(
    settings: config.Settings,
) -> None:
    send(settings, 0, range(10))
    trainer = train(OnlineTrainer(settings, now_ms), 10)
    state = trainer.state()
    trainer.close()
    for name in ("log", "lost"):
        del state[name]
    del state["positions"][1]  # as if there had been one partition
    again = OnlineTrainer(settings, now_ms)
    again.load_state(state)
    send(settings, 1, range(5))
    assert Topics(settings.namespace).samples in train(again, 15).state()["log"]
    again.close()


@pytest.mark.ray
@pytest.mark.parametrize(("command", "topic"), [("stream", "events"), ("train", "samples")])
def test_a_command_ends_with_one_line_where_its_topic_is_made_anew(
    settings: config.Settings, admin: KafkaAdminClient, command: str, topic: str
) -> None:
    environ = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"}
    part = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli", command],
        env={**environ, **config.environment(settings)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until_up(settings, command, part)
        make_anew(admin, settings, f"{settings.namespace}.{topic}")
        _, said = part.communicate(timeout=COMMAND_S)
    finally:
        if part.poll() is None:
            os.killpg(part.pid, signal.SIGKILL)
    assert part.returncode == 2
    (line,) = [line for line in said.splitlines() if line.startswith(f"headrace {command}: ")]
    assert f"topic {settings.namespace}.{topic}" in line and "choose another namespace" in line


def wait_until_up(settings: config.Settings, part: str, process: subprocess.Popen[str]) -> None:
    with Redis.from_url(settings.redis_url) as redis:
        board = StatusBoard(redis, settings.namespace)
        _wait(lambda: process.poll() is not None or bool(board.read(part)))
    assert process.poll() is None


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + COMMAND_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)
