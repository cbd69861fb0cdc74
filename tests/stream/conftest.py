"""Real servers with junk in them, shared by the tests of what the stream makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from stream_servers import started

from headrace import config


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    with started(
        tmp_path_factory.mktemp("any-bytes"), namespace="junk", num_partitions=2, click_window_s=0.1
    ) as settings:
        yield settings


@pytest.fixture
def redis_of_servers(servers: config.Settings) -> Iterator[Redis]:
    with Redis.from_url(servers.redis_url) as client:
        yield client
