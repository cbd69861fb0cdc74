"""The actions of a namespace: their bits never come to mean others, and it is said in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from headrace.services.redis import RedisServer, start_redis

pytestmark = pytest.mark.services

BIND = (
    "from headrace import config\n"
    "from headrace.features.rows.namespace_actions import bind_actions\n"
    "bind_actions(config.load())"
)
KEY = "shop:actions"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Redis:
    redis = Redis.from_url(server.url)
    redis.delete(KEY)
    return redis


@pytest.fixture
def environ(server: RedisServer, tmp_path: Path) -> dict[str, str]:
    plain = {name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")}
    home = {"HEADRACE_HOME": str(tmp_path / "home"), "HEADRACE_NAMESPACE": "shop"}
    return {**plain, **home, "REDIS_URL": server.url}


def bound(environ: dict[str, str], folder: Path, *actions: str) -> str:
    """The last line of a process of these actions; empty where it had nothing to say."""
    path = folder / "headrace.yaml"
    path.write_text(f"actions: [{', '.join(actions)}]\n")
    environ = {**environ, "HEADRACE_APP": str(path)}
    words = [sys.executable, "-c", BIND]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    return (done.stderr.splitlines() or [""])[-1]


def test_an_action_may_come_at_the_end_and_none_may_go_or_move(
    environ: dict[str, str], tmp_path: Path, redis: Redis
) -> None:
    assert bound(environ, tmp_path, "click", "purchase") == ""
    assert bound(environ, tmp_path, "click", "purchase") == ""
    assert bound(environ, tmp_path, "click", "purchase", "hide") == ""
    for others in (["click", "purchase"], ["click", "hide", "purchase"], ["click", "like"]):
        said = bound(environ, tmp_path, *others)
        assert "namespace shop has the actions click, purchase, hide, and these are " in said
        assert said.endswith("or begin another namespace (HEADRACE_NAMESPACE)")
    assert redis.get(KEY) == b'["click","purchase","hide"]'


@pytest.mark.parametrize("junk", [b"\xff", b"{}", b"[1]"])
def test_junk_under_the_key_is_written_anew(
    environ: dict[str, str], tmp_path: Path, redis: Redis, junk: bytes
) -> None:
    redis.set(KEY, junk)
    assert bound(environ, tmp_path, "click") == ""
    assert redis.get(KEY) == b'["click"]'


def test_another_kind_of_value_under_the_key_is_written_anew(
    environ: dict[str, str], tmp_path: Path, redis: Redis
) -> None:
    redis.hset(KEY, "a", "b")
    assert bound(environ, tmp_path, "click").startswith(f"skipped {KEY}: another kind of value")
    assert redis.get(KEY) == b'["click"]'


@pytest.mark.parametrize("command", ["stream", "train", "serve", "materialize", "archive"])
def test_a_part_without_the_application_of_its_namespace_says_so_in_one_line(
    environ: dict[str, str], tmp_path: Path, redis: Redis, command: str
) -> None:
    assert bound(environ, tmp_path, "click", "purchase") == ""
    words = [sys.executable, "-m", "headrace", command]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    (line,) = [one for one in done.stderr.splitlines() if not one.startswith("warning: ")]
    assert line.startswith(f"headrace {command}: namespace shop has the actions click, purchase")
