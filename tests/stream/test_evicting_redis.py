"""Redis that evicts, is emptied or loses keys while the stream runs: said, counted, waited for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from rich.console import Console
from stream_servers import started

from headrace import cli, config
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.clock import now_ms
from headrace.errors import PartitionLost, ServiceError
from headrace.event import ClickEvent, encode
from headrace.features.online.store import OnlineStore
from headrace.features.table import LIFE, USER_LAYOUT
from headrace.monitoring.documents import StreamDocument
from headrace.monitoring.exporter import HealthCollector
from headrace.monitoring.health import read_health
from headrace.monitoring.health_report import to_document, to_tables
from headrace.monitoring.status import StatusBoard
from headrace.positions.store import CommitStore
from headrace.stream.redis_watch import LOOK_EVERY_MS, RedisNews, lost_keys
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

USERS = [f"user{number}" for number in range(40)]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    """Servers, and a catalogue."""
    folder = tmp_path_factory.mktemp("evicting")
    given = {"namespace": "evicting", "num_partitions": 1, "accept_no_persistence": True}
    with started(folder, is_admin=True, **given) as settings:
        yield settings


@pytest.fixture
def redis(servers: config.Settings) -> Iterator[Redis]:
    """A client of a Redis that is as at its start afterwards."""
    with Redis.from_url(servers.redis_url) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_resetstat()


class Stream:
    """Events into the topic, and workers that take them in, on a clock that can be moved."""

    def __init__(self, settings: config.Settings, redis: Redis) -> None:
        self.settings, self._redis = settings, redis
        self._commits = CommitStore(redis, settings.namespace)
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return now_ms() + self.ahead_ms

    @property
    def num_accepted(self) -> int:
        return sum(commit.accepted for commit in self._commits.read_all().values())

    def click(self, name: str) -> None:
        """A click of each user."""
        writer = LogWriter(self.settings)
        for user in USERS:
            event = ClickEvent(f"{name}-{user}", now_ms(), user, "7")
            writer.send(Topics(self.settings.namespace).events, encode(event), user.encode())
        writer.flush()
        writer.close()

    def run(self, until: Callable[[], bool]) -> None:
        """A worker until so; raises what ends it before."""
        deadline_ms = now_ms() + PATIENCE_MS

        def done() -> bool:
            assert now_ms() < deadline_ms
            return until()

        Worker(self.settings, [0], self.now_ms).run(done)

    def run_until_accepted(self, num: int) -> None:
        self.run(lambda: self.num_accepted >= num)

    def clicks_of_users(self) -> list[float]:
        """How many clicks each user's row counts."""
        rows = OnlineStore(self.settings).read_user_rows(USERS)
        clicks: list[float] = rows["state"][USER_LAYOUT.field_of[LIFE]][:, 1].tolist()
        return clicks


@pytest.fixture
def stream(servers: config.Settings, redis: Redis) -> Stream:
    return Stream(servers, redis)


def let_evict(redis: Redis) -> None:
    """What hosted Redis is by default: it evicts any key once it is full."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    redis.config_set("maxmemory", 1 << 30)


def rows_of(redis: Redis) -> list[bytes]:
    return list(redis.scan_iter("evicting/user_activity/*"))


def test_a_policy_that_turns_evicting_stops_the_worker_until_it_is_mended_and_counts_stay_exact(
    stream: Stream, redis: Redis
) -> None:
    start = stream.num_accepted
    stream.click("before")
    stream.run_until_accepted(start + len(USERS))
    before = stream.clicks_of_users()

    def switched() -> bool:
        if stream.num_accepted >= start + len(USERS) and not stream.ahead_ms:
            let_evict(redis)
            stream.click("meanwhile")
            stream.ahead_ms = LOOK_EVERY_MS
        return False

    with pytest.raises(ServiceError, match="allkeys-lru.*expected noeviction; CONFIG SET maxmem"):
        stream.run(switched)
    with pytest.raises(ServiceError, match="has maxmemory-policy allkeys-lru"):
        stream.run_until_accepted(start + 2 * len(USERS))
    redis.config_set("maxmemory-policy", "noeviction")
    stream.run_until_accepted(start + 2 * len(USERS))
    assert stream.clicks_of_users() == [count + 1 for count in before]


def test_rows_that_were_evicted_are_counted_by_the_next_worker_and_everybody_can_see_it(
    stream: Stream,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start, settings = stream.num_accepted, stream.settings
    stream.click("evicted")
    stream.run_until_accepted(start + len(USERS))
    assert read_health(redis, settings.namespace, stream.now_ms()).lost_rows == 0
    news = RedisNews(settings, redis)
    news.lines(0)
    redis.delete(*rows_of(redis)[:15])
    redis.config_set("maxmemory-policy", "volatile-ttl")
    redis.config_set("maxmemory", 1 << 30)
    stream.click("again")
    stream.run(lambda: read_health(redis, settings.namespace, stream.now_ms()).lost_rows > 0)
    health = read_health(redis, settings.namespace, stream.now_ms())
    assert health.lost_rows == to_document(health)["lost_rows"] == 15
    assert to_document(health)["redis"][0]["policy"] == "volatile-ttl"
    (said,) = [line for line in news.lines(LOOK_EVERY_MS) if "rows" in line and "gone" in line]
    assert "at least 15 users" in said and "empty Redis" in said
    assert not [line for line in news.lines(2 * LOOK_EVERY_MS) if "gone" in line]
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(*to_tables(health))
    text = " ".join(console.export_text().split())
    assert "volatile-ttl" in text and "15 users' rows were written and are gone" in text
    metrics = {m.name: m for m in HealthCollector(settings, stream.now_ms).collect()}
    assert metrics["headrace_feature_lost_rows"].samples[0].value == 15
    assert metrics["headrace_feature_redis_memory_max_bytes"].samples[0].value > 0
    for name, text in config.environment(settings).items():
        monkeypatch.setenv(name, text)
    assert cli.main(["features", "status", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["lost_rows"] == 15 and "volatile-ttl" in document["warnings"][0]


def test_evicted_keys_are_said_and_counted(stream: Stream, redis: Redis) -> None:
    settings, news = stream.settings, RedisNews(stream.settings, redis)
    news.lines(0)
    for number in range(300):
        redis.set(f"filling:{number}", b"x" * 10_000, ex=3_600)
    redis.config_set("maxmemory-policy", "volatile-lru")
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] - 1_000_000)
    redis.set("one", b"more")
    assert not news.lines(LOOK_EVERY_MS - 1)
    (said,) = [line for line in news.lines(LOOK_EVERY_MS) if "has evicted" in line]
    assert "keys since the last look" in said
    metrics = {m.name: m for m in HealthCollector(settings, stream.now_ms).collect()}
    assert metrics["headrace_feature_redis_evicted_keys"].samples[0].value > 0
    assert to_document(read_health(redis, settings.namespace, 0))["redis"][0]["evicted_keys"] > 0
    redis.config_set("maxmemory", 0)
    redis.delete(*redis.scan_iter("filling:*"))


def test_who_accepts_eviction_streams_on_with_a_warning(stream: Stream, redis: Redis) -> None:
    start = stream.num_accepted
    let_evict(redis)
    stream.settings = config.changed(stream.settings, accept_eviction=True)
    stream.click("accepted")
    stream.run_until_accepted(start + len(USERS))
    lines = RedisNews(stream.settings, redis).lines(0)
    assert any("counts are NOT exact" in line for line in lines)


def test_a_document_tells_what_the_worker_saw_of_redis(stream: Stream, redis: Redis) -> None:
    stream.click("told")
    stream.run_until_accepted(stream.num_accepted + len(USERS))
    documents = StatusBoard(redis, "evicting").read(StreamDocument)
    newest = max(documents, key=lambda document: document.updated_ms)
    assert newest.stores[0].policy == "noeviction" and newest.lost_rows >= 0


def test_an_emptied_redis_is_named_and_the_stream_begins_anew_with_the_same_counts(
    stream: Stream, redis: Redis
) -> None:
    num, is_empty = stream.num_accepted + len(USERS), False

    def empty() -> bool:
        nonlocal is_empty
        if not is_empty:
            is_empty = bool(redis.flushall())
            stream.click("afterwards")
        return False

    with pytest.raises(PartitionLost, match="is gone from Redis, which was emptied or has evicted"):
        stream.run(empty)
    stream.run_until_accepted(num)
    assert stream.clicks_of_users() == [num / len(USERS)] * len(USERS)


def test_commits_that_stand_without_the_keys_beside_them_are_said(redis: Redis) -> None:
    assert lost_keys(redis, "some") is None
    redis.hset("{some:stream}:commits", "0", b"{}")
    assert "identity of the event log (some:log) is gone" in (lost_keys(redis, "some") or "")
    redis.set("some:log", b"it")
    assert "epochs are gone" in (lost_keys(redis, "some") or "")
    redis.hset("{some:stream}:epochs", "0", 1)
    assert lost_keys(redis, "some") is None
    redis.delete("some:log", "{some:stream}:commits", "{some:stream}:epochs")
