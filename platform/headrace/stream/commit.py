"""Commits: how far each partition of the event log was processed, kept beside the rows in Redis.

A partition has one owner at a time. Who takes it over raises its epoch (`claim`); a commit of an
earlier epoch is refused, so that an owner that was thought dead can do no harm when it comes back.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from redis import Redis

from headrace.errors import PartitionLost

# KEYS[1] commits, KEYS[2] epochs; ARGV: partition, epoch, commit, and so on. Writes all or none;
# returns the first partition that has another epoch, or -1.
_WRITE = """
for place = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[2], ARGV[place]) ~= ARGV[place + 1] then
    return tonumber(ARGV[place])
  end
end
for place = 1, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[place], ARGV[place + 2])
end
return -1
"""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition was processed, and what it counted on the way."""

    offset: int = 0  # the next event to process
    low_offset: int = 0  # the oldest impression still open, or `offset`
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    late: int = 0  # accepted, though further behind the watermark than the allowed lateness
    ahead: int = 0  # accepted, with a time ahead of the arrival that counts in its place
    unsigned: int = 0  # accepted without the served features, which no replica had signed
    newest_event_ms: int = 0  # the watermark: the newest event time so far


class CommitStore:
    """Where the partitions' commits are kept: Redis hashes, one field per partition."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        # The braces keep both in one slot of a Redis Cluster.
        self._redis, self._name = redis, f"{{{namespace}:stream}}:commits"
        self._epochs_name = f"{{{namespace}:stream}}:epochs"
        self._write = redis.register_script(_WRITE)
        self._epochs: dict[int, int] = {}

    def claim(self, partition: int) -> Commit:
        """Own a partition from now on; returns its last commit, or the one to start with."""
        self._epochs[partition] = int(self._redis.hincrby(self._epochs_name, str(partition), 1))
        payload = self._redis.hget(self._name, str(partition))
        return msgspec.json.decode(payload, type=Commit) if payload else Commit()

    def check(self) -> None:
        """Raises `PartitionLost` if somebody else owns one of the claimed partitions now."""
        numbers = sorted(self._epochs)
        found = self._redis.hmget(self._epochs_name, [str(number) for number in numbers])
        for number, epoch in zip(numbers, found, strict=True):
            if epoch is None or int(epoch) != self._epochs[number]:
                raise PartitionLost(_lost(number))

    def write(self, commits: Mapping[int, Commit]) -> None:
        """Replace the commits of claimed partitions, all or none; raises `PartitionLost`."""
        arguments: list[str | int | bytes] = []
        for number, commit in commits.items():
            arguments += [number, self._epochs[number], msgspec.json.encode(commit)]
        lost = int(self._write(keys=[self._name, self._epochs_name], args=arguments))
        if lost >= 0:
            raise PartitionLost(_lost(lost))

    def read_all(self) -> dict[int, Commit]:
        """The last commits of all partitions."""
        stored = self._redis.hgetall(self._name)
        return {int(k): msgspec.json.decode(v, type=Commit) for k, v in stored.items()}


def _lost(partition: int) -> str:
    return f"partition {partition} has another owner now: what was not committed is left to it"
