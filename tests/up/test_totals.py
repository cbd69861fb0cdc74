"""What the parts say of themselves is believed while they say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from headrace.config import Settings
from headrace.monitoring.documents import FRESH_MS, TrainDocument
from headrace.monitoring.status import StatusBoard
from headrace.services.redis import start_redis
from headrace.up.display.totals import Observer

pytestmark = pytest.mark.services

NOW_MS = 1_800_000_000_000


def test_a_trainer_that_has_ended_no_longer_says_that_nothing_waits(tmp_path: Path) -> None:
    with start_redis(tmp_path) as server, Redis.from_url(server.url) as redis:
        settings = Settings(namespace="it", redis_url=server.url)
        observer = Observer(settings)
        assert observer.totals(NOW_MS).train_lag is None
        StatusBoard(redis, "it").write(TrainDocument(lag=0, samples=40, version=2), NOW_MS)
        later, much_later = (observer.totals(NOW_MS + ms) for ms in (FRESH_MS - 1, FRESH_MS))
        assert (later.train_lag, later.samples) == (0, 40)
        assert (much_later.train_lag, much_later.samples) == (None, 40)
        observer.redis.close()
