"""The watch over Redis while the stream runs: whether it still keeps the rows that it is given.

A worker whose Redis may evict stops before it writes more, as at its start, and is tried again: the
log keeps the events, and the counts stay exact. What is no reason to stop is said once it is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from redis import Redis, RedisError

from headrace.config import Settings
from headrace.monitoring.health import read_health
from headrace.positions.store import CommitStore
from headrace.services.redis_condition import (
    RedisCondition,
    read_conditions,
    require_keeping,
    warnings_of,
)

LOOK_EVERY_MS: Final = 30_000


class RedisWatch:
    """A periodic check of the Redis servers of a worker's rows and commits. Time is an argument."""

    def __init__(self, settings: Settings, clients: Sequence[Any]) -> None:
        self._settings, self._clients = settings, clients
        self._due_ms = 0
        self.conditions: list[RedisCondition] = []

    def look(self, now_ms: int) -> None:
        """Look again when it is time to; raises `ServiceError` where rows may be lost."""
        if now_ms < self._due_ms:
            return
        self.conditions = [one for client in self._clients for one in read_conditions(client)]
        require_keeping(self.conditions, self._settings)
        self._due_ms = now_ms + LOOK_EVERY_MS


class RedisNews:
    """The news about Redis since the last look, for the log of the stream."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings, self._redis = settings, redis
        self._due_ms = 0
        self._said: set[str] = set()
        self._evicted: dict[str, int] = {}
        self._num_lost = 0

    def lines(self, now_ms: int) -> list[str]:
        """New warnings, evicted keys and lost rows; nothing before it is time to look again, or
        while Redis does not answer, which the workers say."""
        if now_ms < self._due_ms:
            return []
        self._due_ms = now_ms + LOOK_EVERY_MS
        try:
            health = read_health(self._redis, self._settings.namespace, now_ms)
        except RedisError:
            return []
        warnings = warnings_of(health.stores, self._settings)
        new = [warning for warning in warnings if warning not in self._said]
        self._said = set(warnings)
        return [*new, *self._evictions(health.stores), *self._losses(health.lost_rows)]

    def _evictions(self, stores: Sequence[RedisCondition]) -> Iterator[str]:
        for store in stores:
            more = store.evicted_keys - self._evicted.get(store.address, store.evicted_keys)
            self._evicted[store.address] = store.evicted_keys
            if more > 0:
                yield (
                    f"Redis at {store.address} has evicted {more:,} keys since the last look, "
                    f"{store.evicted_keys:,} in all: it is full; raise maxmemory"
                )

    def _losses(self, num_lost: int) -> Iterator[str]:
        more, self._num_lost = num_lost - self._num_lost, num_lost
        if more > 0:
            yield (
                f"the rows of at least {more:,} users that were written are gone (evicted, expired "
                "or deleted), and their counts have begun anew; to rebuild all rows from the log, "
                "stop the stream and give it an empty Redis"
            )


def lost_keys(redis: Redis, namespace: str) -> str | None:
    """The error of a Redis that has lost some of the keys that the stream needs together, or None.

    A Redis that is emptied loses all of them, and the stream begins anew; one that evicts or is
    cleared by hand may lose some.
    """
    log, commits, epochs = redis.exists(f"{namespace}:log"), *CommitStore(redis, namespace).exist()
    if commits and not log:
        gone = f"the identity of the event log ({namespace}:log) is gone, the commits are not"
    elif commits and not epochs:
        gone = "the partitions' epochs are gone, the commits are not"
    else:
        return None
    return (
        f"{gone}: Redis has lost keys, and users' rows may be among them; give the stream an empty "
        "Redis if its counts must be exact"
    )
