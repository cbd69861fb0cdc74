"""The trainer's positions belong to one topic of samples: what is gone is counted, another topic
refused, one that was grown read on; and the command ends with what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import numpy as np
import pytest
from changed_topic import last_words, make_anew, wait
from kafka import KafkaAdminClient, TopicPartition

from headrace import config
from headrace.broker import reader
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.errors import LogMismatch
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.sample import SEQUENCE_KNOWN, Sample, encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from trainers.online import OnlineTrainer

pytestmark = pytest.mark.services

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
        settings = config.settings(
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
    monkeypatch.setattr(reader, "DESCRIBE_EVERY_MS", 300)
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
        sequence=SEQUENCE_KNOWN,
        schema=INPUT_SCHEMA,
        request_id=f"r{offset}",
        event_time_ms=now_ms(),
        arrival_ms=now_ms(),
        user_key=1,
        user_word_keys=(),
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
    def step() -> bool:
        trainer.step()
        return trainer.learner.num_samples >= num_samples

    wait(step)
    return trainer


def restarted(trainer: OnlineTrainer, settings: config.Settings) -> OnlineTrainer:
    state = trainer.state()
    trainer.close()
    again = OnlineTrainer(settings, now_ms)
    again.load_state(state)
    return again


def test_samples_that_retention_took_are_counted_over_restarts(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, 0, range(10))
    trainer = restarted(train(OnlineTrainer(settings, now_ms), 10), settings)
    send(settings, 0, range(10, 16))
    admin.delete_records({TopicPartition(Topics(settings.namespace).samples, 0): 13})
    state = restarted(train(trainer, 13), settings).state()["samples"]
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
        del state["samples"][name]
    del state["samples"]["positions"][1]  # as if there had been one partition
    again = OnlineTrainer(settings, now_ms)
    again.load_state(state)
    send(settings, 1, range(5))
    assert Topics(settings.namespace).samples in train(again, 15).state()["samples"]["log"]
    again.close()


@pytest.mark.ray
def test_the_command_ends_with_one_line_where_its_topic_is_made_anew(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    topic = Topics(settings.namespace).samples
    code, said = last_words(settings, "train", lambda: make_anew(admin, settings, topic))
    assert (code, len(said)) == (2, 1)
    assert f"topic {topic}" in said[0] and "choose another namespace" in said[0]
