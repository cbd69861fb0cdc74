"""The stream, the archive and the trainer on a log that changed under them, on Apache Kafka."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from changed_topic import last_words, make_anew, within_patience
from kafka import KafkaAdminClient, TopicPartition
from redis import Redis

from headrace import config
from headrace.broker import log_watch, reader
from headrace.broker.partitioner import partition_of
from headrace.broker.topics import Topics, create_topics, plans
from headrace.broker.writer import LogWriter
from headrace.clock import now_ms
from headrace.errors import LogMismatch
from headrace.event import ClickEvent, encode
from headrace.features.online.store import OnlineStore
from headrace.features.table import LIFE, USER_LAYOUT
from headrace.offline.archive import Archive
from headrace.offline.folder import EVENTS, log_folder
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from headrace.stream.source_log import bind_to_log
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

USERS = [f"user-{number}" for number in range(12)]
FILES = {
    "headrace.yaml": "events: {file: events.csv, user_id: who, item_id: sku, clicked: clicked, "
    "time: {column: ts, unit: iso}}\nitems: {file: items.csv, item_id: sku, title: name}\n",
    "events.csv": "ts,who,sku,clicked\n2024-05-01T09:00:00Z,ann,mug,true\n",
    "items.csv": "sku,name\nmug,Coffee mug\n",
}
event_ids = (f"e{number}" for number in count())


@pytest.fixture(scope="module")
def world(
    apache_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[config.Settings]:
    """Servers, and a materialized catalogue of one item."""
    folder = tmp_path_factory.mktemp("changed")
    (folder / "shop").mkdir()
    for name, text in FILES.items():
        (folder / "shop" / name).write_text(text)
    with (
        start_redis(folder / "redis") as redis,
        start_broker(folder / "kafka", apache_environ) as log,
    ):
        settings = config.settings(
            home=str(folder / "home"),
            redis_url=redis.admin_url,
            kafka_bootstrap=log.bootstrap,
            num_partitions=2,
        )
        given = {**apache_environ, **config.environment(settings)}
        command = ["materialize", f"--data={folder / 'shop'}"]
        subprocess.run([sys.executable, "-m", "headrace.cli", *command], env=given, check=True)
        yield settings


@pytest.fixture
def settings(
    world: config.Settings, admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> config.Settings:
    """The namespace, as if new, with topics that are looked at often."""
    monkeypatch.setattr(reader, "DESCRIBE_EVERY_MS", 300)
    monkeypatch.setattr(log_watch, "LOOK_EVERY_S", 0.1)
    for name, text in config.environment(world).items():
        monkeypatch.setenv(name, text)
    with Redis.from_url(world.redis_url) as redis:
        redis.flushdb()
    make_anew(admin, world, *plans(world))
    return world


@pytest.fixture
def admin(world: config.Settings) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=world.kafka_bootstrap)) as client:
        yield client


def send(settings: config.Settings, users: list[str], partition: int | None = None) -> None:
    """A click of each of these users."""
    with closing(LogWriter(settings)) as writer:
        for user in users:
            event = ClickEvent(next(event_ids), now_ms(), user, "mug")
            topic = Topics(settings.namespace).events
            writer.send(topic, encode(event), user.encode(), partition)
        writer.flush()


def commits(settings: config.Settings) -> dict[int, Commit]:
    with Redis.from_url(settings.redis_url) as redis:
        return CommitStore(redis, settings.namespace).read_all()


def total(settings: config.Settings, name: str) -> int:
    return sum(getattr(commit, name) for commit in commits(settings).values())


def work_until(settings: config.Settings, done: Callable[[], bool]) -> None:
    """Let a new worker own all partitions until then."""
    Worker(settings, range(settings.stream.num_partitions), now_ms).run(within_patience(done))


def make_events_anew(admin: KafkaAdminClient, settings: config.Settings) -> None:
    make_anew(admin, settings, Topics(settings.namespace).events)


def test_events_that_retention_took_are_counted_and_no_other_is(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, USERS)
    work_until(settings, lambda: total(settings, "accepted") == len(USERS))
    done = {number: commit.offset for number, commit in commits(settings).items()}
    send(settings, USERS)
    topic = Topics(settings.namespace).events
    admin.delete_records({TopicPartition(topic, 0): done[0] + 2, TopicPartition(topic, 1): done[1]})
    rest = 2 * len(USERS) - 2
    work_until(settings, lambda: total(settings, "accepted") == rest)
    assert {number: commit.lost for number, commit in commits(settings).items()} == {0: 2, 1: 0}
    admin.delete_records({TopicPartition(topic, 0): 2 * done[0]})
    send(settings, USERS, partition=1)
    work_until(settings, lambda: total(settings, "accepted") == rest + len(USERS))
    assert (total(settings, "lost"), total(settings, "offset")) == (2, 3 * len(USERS))


def test_all_events_that_wait_may_be_gone(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, USERS, partition=0)
    topic = Topics(settings.namespace).events
    admin.delete_records({TopicPartition(topic, 0): len(USERS)})
    work_until(settings, lambda: total(settings, "lost") == len(USERS))
    assert total(settings, "accepted") == 0
    send(settings, USERS, partition=0)
    work_until(settings, lambda: total(settings, "accepted") == len(USERS))
    assert total(settings, "lost") == len(USERS)


def test_a_worker_stops_where_its_topic_is_made_anew_and_so_does_the_next(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, USERS)

    changes = iter([lambda: make_events_anew(admin, settings)])

    def change() -> bool:
        if total(settings, "accepted") == len(USERS):
            next(changes, lambda: None)()
        return False

    with pytest.raises(LogMismatch, match="was it deleted and made anew, or cut off"):
        work_until(settings, change)
    assert total(settings, "accepted") == len(USERS)
    with pytest.raises(LogMismatch, match="the positions in Redis belong to event log"):
        work_until(settings, lambda: False)


@pytest.mark.ray
def test_the_command_ends_with_one_line_where_its_topic_is_made_anew(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    topic = Topics(settings.namespace).events
    code, said = last_words(settings, "stream", lambda: make_events_anew(admin, settings))
    assert (code, len(said)) == (2, 1)
    assert f"topic {topic}" in said[0] and "choose another namespace" in said[0]


def test_positions_from_before_topics_had_an_identity_are_gone_on_with(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    name = f"{settings.namespace}:log"
    with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        redis.set(name, str(admin.describe_cluster()["cluster_id"]))
        bind_to_log(settings)
        assert f"{settings.namespace}.events:" in (redis.get(name) or "")
        make_events_anew(admin, settings)
        with pytest.raises(LogMismatch, match="choose another namespace"):
            bind_to_log(settings)


def test_a_platform_that_stands_still_may_be_grown(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    send(settings, USERS)
    work_until(settings, lambda: total(settings, "accepted") == len(USERS))
    topics = Topics(settings.namespace)
    names = (topics.events, topics.samples, topics.feature_rows)
    names += (topics.item_partials, topics.item_features, topics.item_vectors)
    admin.create_partitions(dict.fromkeys(names, 5))
    with pytest.raises(LogMismatch, match="has 5 partitions, expected 2"):
        create_topics(settings)
    grown = config.changed(settings, num_partitions=5)
    create_topics(grown)
    assert any(partition_of(u.encode(), 5) != partition_of(u.encode(), 2) for u in USERS)
    send(grown, USERS)
    work_until(grown, lambda: total(grown, "accepted") == 2 * len(USERS))
    assert total(grown, "misplaced") == 0
    state = OnlineStore(grown).read_user_rows(USERS)["state"][USER_LAYOUT.field_of[LIFE]]
    assert state[:, 0].tolist() == [2.0] * len(USERS)


def test_a_user_of_two_partitions_is_counted(settings: config.Settings) -> None:
    at_home = [partition_of(user.encode(), 2) for user in USERS]
    send(settings, USERS, partition=0)
    work_until(settings, lambda: total(settings, "accepted") == len(USERS))
    assert total(settings, "misplaced") == sum(at_home)
    assert "belongs to partition 1" in commits(settings)[0].first_misplaced


def test_the_archive_tells_what_was_gone_and_refuses_a_topic_that_is_made_anew(
    settings: config.Settings,
    admin: KafkaAdminClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = config.changed(settings, home=str(tmp_path))
    send(settings, USERS, partition=0)
    topic = Topics(settings.namespace).events
    admin.delete_records({TopicPartition(topic, 0): 4})
    archive, folder = Archive(settings, now_ms), log_folder(settings, EVENTS)

    def archived() -> bool:
        archive.flush()
        return [(span.first, span.end) for span in folder.spans()] == [(4, len(USERS))]

    archive.run(within_patience(archived))
    assert "partition 0 begins at offset 4: the 4 messages from 0 on are gone" in caplog.text
    make_events_anew(admin, settings)
    with pytest.raises(LogMismatch, match=f"in {tmp_path}/offline belong to .*: choose another"):
        Archive(settings, now_ms)
