"""Publishing and following on real servers, over restarts, crashes and lost topics and counters."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
import torch
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from redis import Redis

from headrace import config
from headrace.broker.topics import Topics, create_topics, open_admin
from headrace.errors import ConfigError
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import RankerConfig
from headrace.registry.manifest import Manifest
from headrace.registry.publisher import Publisher
from headrace.registry.subscriber import Subscriber
from headrace.registry.versions import KEEP_VERSIONS, load_weights
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

NAMES = (f"shop_{number}" for number in itertools.count())
DRAFT = Manifest(
    version=0,
    uri="",
    sha256="",
    created_ms=1,
    schema=INPUT_SCHEMA,
    model=RankerConfig(num_dense=1),
    num_samples=1,
    newest_event_ms=1,
)


@pytest.fixture(scope="module", params=["embedded", "apache"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[config.Settings]:
    folder, environ = tmp_path_factory.mktemp("registry"), dict(os.environ)
    if request.param == "embedded":
        environ.pop("KAFKA_HOME", None)
    elif "KAFKA_HOME" not in environ:
        pytest.skip("KAFKA_HOME names no Apache Kafka")
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", environ) as log:
        yield config.settings(redis_url=redis.url, kafka_bootstrap=log.bootstrap, num_partitions=1)


@pytest.fixture
def settings(servers: config.Settings, tmp_path: Path) -> config.Settings:
    """A namespace and a home for each test."""
    made = config.changed(servers, namespace=next(NAMES), home=tmp_path)
    create_topics(made)
    return made


@contextmanager
def publisher(settings: config.Settings) -> Iterator[Publisher]:
    redis = Redis.from_url(settings.redis_url)
    with closing(redis), closing(Publisher(settings, redis)) as made:
        yield made


def publish(settings: config.Settings, num: int) -> list[int]:
    """The numbers of these versions, of a publisher that starts and ends."""
    with publisher(settings) as made:
        return [made.publish({"w": torch.ones(2)}, DRAFT).version for _ in range(num)]


def announced(settings: config.Settings) -> list[int]:
    with closing(Subscriber(settings)) as models:
        return [manifest.version for manifest in models.announced()]


def found(settings: config.Settings, version: int) -> Manifest:
    with closing(Subscriber(settings)) as models:
        return models.find(version)


def folder_of(settings: config.Settings) -> Path:
    return settings.home_path / "models"


def weights_of(settings: config.Settings) -> list[int]:
    """The versions whose weights are there."""
    names = sorted(path.name for path in folder_of(settings).iterdir() if path.suffix == ".pt")
    return [int(name.removesuffix(".pt").rpartition("-")[2]) for name in names]


def lose_records(settings: config.Settings, before: int) -> None:
    """The `models` topic without its records before this offset, as retention leaves it."""
    topic, policy = Topics(settings.namespace).models, {"cleanup.policy": "delete"}
    with open_admin(settings) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=policy)])
        admin.delete_records({TopicPartition(topic, 0): before})


def lose_topic(settings: config.Settings) -> None:
    """The `models` topic with nothing in it."""
    with open_admin(settings) as admin:
        admin.delete_topics([Topics(settings.namespace).models])
    create_topics(settings)


def test_the_weights_of_the_newest_stay_over_every_restart(settings: config.Settings) -> None:
    for num, expected in ((3, range(1, 4)), (KEEP_VERSIONS, range(4, 24)), (1, range(5, 25))):
        publish(settings, num)
        assert weights_of(settings) == list(expected)


def test_what_a_crash_left_is_deleted_at_the_next_start(settings: config.Settings) -> None:
    publish(settings, 2)
    folder, name = folder_of(settings), settings.namespace
    for left in (f"{name}-00000003.pt", f"{name}-00000004.pt.part", f"{name}.versions.json.part"):
        (folder / left).write_bytes(b"half")
    with publisher(settings):
        names = {path.name for path in folder.iterdir()}
    assert names == {f"{name}-00000001.pt", f"{name}-00000002.pt", f"{name}.versions.json"}


def test_versions_outlive_the_topic_that_announced_them(settings: config.Settings) -> None:
    publish(settings, KEEP_VERSIONS + 2)
    lose_topic(settings)
    assert announced(settings) == list(range(3, KEEP_VERSIONS + 3))
    assert load_weights(found(settings, 3))["w"].tolist() == [1, 1]
    assert publish(settings, 1) == [KEEP_VERSIONS + 3]
    assert announced(settings) == list(range(4, KEEP_VERSIONS + 4))


def test_versions_outlive_the_old_records_of_the_topic(
    settings: config.Settings, request: pytest.FixtureRequest
) -> None:
    if "embedded" in request.node.name:
        pytest.skip("the embedded broker deletes no records")
    publish(settings, 5)
    lose_records(settings, 3)
    assert announced(settings) == [1, 2, 3, 4, 5]


def test_who_follows_is_told_each_version_once(settings: config.Settings) -> None:
    with publisher(settings) as made, closing(Subscriber(settings)) as models:
        told = []
        for _ in range(3):
            made.publish({}, DRAFT)
            told += [manifest.version for manifest in models.announced()]
        assert told == [1, 2, 3] and models.announced() == []


def test_a_version_that_is_gone_is_told_from_one_that_never_was(settings: config.Settings) -> None:
    with pytest.raises(ConfigError, match=r"^no model version 1 in .*; published: none yet$"):
        found(settings, 1)
    publish(settings, KEEP_VERSIONS + 5)
    gone = (
        rf"^the weights of model version 5 in namespace '{settings.namespace}' are gone; of the "
        r"versions published \(1 to 25\) the newest 20 are kept: 6 to 25$"
    )
    with pytest.raises(ConfigError, match=gone):
        found(settings, 5)
    for never in (0, 26):
        with pytest.raises(ConfigError, match=rf"^no model version {never} in .*: 1 to 25$"):
            found(settings, never)
    lose_topic(settings)
    with pytest.raises(ConfigError, match=gone):
        found(settings, 5)
    (folder_of(settings) / f"{settings.namespace}-00000009.pt").unlink()
    with pytest.raises(ConfigError, match=r"version 9 .* are gone; .*: 6 to 8, 10 to 25$"):
        found(settings, 9)
    assert found(settings, 6).version == 6


@pytest.mark.parametrize("lost", ["the counter", "the topic and the counter"])
def test_numbers_go_on_where_redis_has_lost_the_last_one(
    settings: config.Settings, lost: str
) -> None:
    publish(settings, 3)
    with closing(Redis.from_url(settings.redis_url)) as redis:
        redis.delete(f"{settings.namespace}:model_version")
    if lost != "the counter":
        lose_topic(settings)
    assert publish(settings, 2) == [4, 5]
    assert weights_of(settings) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("content", [None, b"junk"])
def test_an_index_that_is_gone_or_damaged_is_made_anew_of_the_topic(
    settings: config.Settings, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    publish(settings, KEEP_VERSIONS + 1)
    index = folder_of(settings) / f"{settings.namespace}.versions.json"
    index.unlink() if content is None else index.write_bytes(content)
    orphan = folder_of(settings) / f"{settings.namespace}-00000001.pt"
    orphan.write_bytes(b"which an earlier build has left")
    with closing(Subscriber(settings)) as models:
        assert len(models.announced()) >= KEEP_VERSIONS
        assert ("no index" in models.last_error) == (content is not None)
    publish(settings, 1)
    assert ("it is made anew" in caplog.text) == (content is not None)
    assert weights_of(settings) == list(range(3, KEEP_VERSIONS + 3))
    lose_topic(settings)
    assert announced(settings) == list(range(3, KEEP_VERSIONS + 3))


def test_without_index_and_topic_nothing_is_deleted_unseen(settings: config.Settings) -> None:
    publish(settings, 2)
    (folder_of(settings) / f"{settings.namespace}.versions.json").unlink()
    lose_topic(settings)
    with publisher(settings):
        assert weights_of(settings) == [1, 2]


def test_a_manifest_of_another_build_in_the_index_spoils_no_others(
    settings: config.Settings,
) -> None:
    publish(settings, 3)
    path = folder_of(settings) / f"{settings.namespace}.versions.json"
    index = msgspec.json.decode(path.read_bytes())
    index["kept"]["2"] = {"version": 2, "of": "another build"}
    path.write_bytes(msgspec.json.encode(index))
    lose_topic(settings)
    assert announced(settings) == [1, 3]
    assert publish(settings, 1) == [4] and weights_of(settings) == [1, 2, 3, 4]
