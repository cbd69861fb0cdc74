"""One repository per test and online store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from backends import BACKENDS, PACKED, STOCK_SQLITE, Repo

from headrace.services.redis import RedisServer, start_redis

numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of the suite needs a Redis."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.services)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(redis_server.admin_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def new_repo(tmp_path: Path, redis_server: RedisServer) -> Callable[..., Repo]:
    """Makes a repository on an online store, in a project of its own."""

    def make(kind: str, **options: Any) -> Repo:
        number = next(numbers)
        folder = tmp_path / str(number)
        folder.mkdir()
        address = f"127.0.0.1:{redis_server.port},password={redis_server.password}"
        where = {"path": str(folder / "online.db")}
        online = where if kind == STOCK_SQLITE else {"connection_string": address}
        return Repo(kind, folder, {**online, **options}, f"contract{number}")

    return make


@pytest.fixture(params=BACKENDS, ids=["stock_redis", "stock_sqlite", "packed"])
def repo(request: pytest.FixtureRequest, new_repo: Callable[..., Repo]) -> Repo:
    """A repository on each of the online stores."""
    return new_repo(request.param)


@pytest.fixture
def packed(new_repo: Callable[..., Repo]) -> Repo:
    """A repository on the packed store."""
    return new_repo(PACKED)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py tries again as often as ever, but at once: its pauses are of seconds."""
    monkeypatch.setattr("redis.retry.sleep", lambda pause_s: None)
