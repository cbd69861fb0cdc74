"""Commits: kept per partition, by its owner only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from headrace.errors import PartitionLost
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        client = Redis.from_url(server.url)
        yield client
        client.close()


def test_the_owner_finds_the_last_commit_of_the_owner_before(redis: Redis) -> None:
    first = CommitStore(redis, "handover")
    assert first.claim(2) == Commit()
    first.write({2: Commit(offset=7, accepted=6, rejected=1)})
    assert CommitStore(redis, "handover").claim(2) == Commit(offset=7, accepted=6, rejected=1)
    assert first.read_all().keys() == {2}


def test_an_earlier_owner_can_commit_no_more(redis: Redis) -> None:
    earlier, later = CommitStore(redis, "zombie"), CommitStore(redis, "zombie")
    for number in (0, 1):
        earlier.claim(number)
    earlier.check()
    later.claim(1)
    later.write({1: Commit(offset=9)})
    with pytest.raises(PartitionLost, match="partition 1 has another owner"):
        earlier.check()
    with pytest.raises(PartitionLost, match="partition 1"):
        earlier.write({0: Commit(offset=5), 1: Commit(offset=5)})
    assert later.read_all() == {1: Commit(offset=9)}  # all or none: nothing of 0 either
    later.check()
