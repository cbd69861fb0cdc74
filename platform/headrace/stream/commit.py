"""Commits: how far each partition of the event log was processed, kept beside the rows in Redis."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from redis import Redis


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition was processed, and what it counted on the way."""

    offset: int = 0  # the next event to process
    low_offset: int = 0  # the oldest impression still open, or `offset`
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    late: int = 0  # accepted, though further behind the watermark than the allowed lateness
    newest_event_ms: int = 0  # the watermark: the newest event time so far


class CommitStore:
    """Where the partitions' commits are kept: a Redis hash, one field per partition."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis, self._name = redis, f"{namespace}:stream:commits"

    def read(self, partition: int) -> Commit:
        """The last commit of a partition, or the one to start with."""
        payload = self._redis.hget(self._name, str(partition))
        return msgspec.json.decode(payload, type=Commit) if payload else Commit()

    def write(self, commits: Mapping[int, Commit]) -> None:
        """Replace the commits of these partitions."""
        encoded = {str(number): msgspec.json.encode(commit) for number, commit in commits.items()}
        self._redis.hset(self._name, mapping=encoded)

    def read_all(self) -> dict[int, Commit]:
        """The last commits of all partitions."""
        stored = self._redis.hgetall(self._name)
        return {int(k): msgspec.json.decode(v, type=Commit) for k, v in stored.items()}
