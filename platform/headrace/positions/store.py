"""The store of commits: how far each partition was processed, kept beside the rows in Redis.

A partition has one owner at a time. Who takes it over raises its epoch (`claim`); a commit of an
earlier epoch is refused, so that an owner that was thought dead can do no harm when it comes back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import msgspec
from redis import Redis
from redis.exceptions import ResponseError

from headrace.access.own_key import WRONG_KIND, read_key
from headrace.errors import CommitDamaged, PartitionLost
from headrace.positions.commit import Commit
from headrace.skipped import Skipped, shortened

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


COMMITS: Final = "commits"


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
        self._epochs[partition] = self._raise_epoch(partition)
        return self.read(partition)

    def read(self, partition: int) -> Commit:
        """A partition's last commit, or the one to start with; raises `CommitDamaged` for a
        damaged one: to begin at 0 instead would be to count again, without a word."""
        try:
            payload = self._redis.hget(self._name, str(partition))
            return _decode(payload) if payload is not None else Commit()
        except (ResponseError, ValueError) as error:  # msgspec's errors are ValueErrors
            if isinstance(error, ResponseError) and WRONG_KIND not in str(error):
                raise
            raise CommitDamaged(self.damaged(partition, str(error))) from None

    def payload(self, partition: int) -> bytes | None:
        """A partition's commit as raw bytes, or its read error, to see whether it changes."""
        try:
            payload: bytes | None = self._redis.hget(self._name, str(partition))
        except ResponseError as error:
            return str(error).encode()
        return payload

    def damaged(self, partition: int, why: str) -> str:
        """The error message for a damaged commit: the cause, and how to repair it."""
        delete = f"redis-cli HDEL '{self._name}' {partition}"
        if WRONG_KIND in why:
            delete = f"redis-cli DEL '{self._name}'"
        return (
            f"partition {partition} stands still, its commit in Redis is damaged "
            f"({shortened(why)}): write back the one of a backup, or delete it ({delete}) to let "
            "its events be read again from the log's start; rows know what they include, the "
            "counts begin anew"
        )

    def _raise_epoch(self, partition: int) -> int:
        """An epoch that no earlier owner has; where there is no number, one that none can have."""
        name, field = self._epochs_name, str(partition)
        try:
            return int(self._redis.hincrby(name, field, 1))
        except ResponseError as error:
            if WRONG_KIND in str(error):
                self._redis.delete(name)  # the other owners are told so, and claim anew
            elif "hash value is not an integer" not in str(error):
                raise
            epoch = secrets.randbits(48)
            self._redis.hset(name, field, epoch)
            return epoch

    def check(self) -> None:
        """Raises `PartitionLost` if somebody else owns one of the claimed partitions now."""
        numbers = sorted(self._epochs)
        found = self._redis.hmget(self._epochs_name, [str(number) for number in numbers])
        for number, epoch in zip(numbers, found, strict=True):
            if epoch is None:
                raise PartitionLost(
                    f"the epoch of partition {number} is gone from Redis, which was emptied or has "
                    "evicted it: the stream goes on with what commits there are"
                )
            if epoch != b"%d" % self._epochs[number]:
                raise PartitionLost(_lost(number))

    def write(self, commits: Mapping[int, Commit]) -> None:
        """Replace the commits of claimed partitions, all or none; raises `PartitionLost`."""
        arguments: list[str | int | bytes] = []
        for number, commit in commits.items():
            arguments += [number, self._epochs[number], msgspec.json.encode(commit)]
        lost = int(self._write(keys=[self._name, self._epochs_name], args=arguments))
        if lost >= 0:
            raise PartitionLost(_lost(lost))

    def exist(self) -> tuple[bool, bool]:
        """Whether there are commits, and epochs."""
        return bool(self._redis.exists(self._name)), bool(self._redis.exists(self._epochs_name))

    def read_all(self, skipped: Skipped | None = None) -> dict[int, Commit]:
        """The last commits of all partitions; damaged ones are passed over and counted."""
        skipped = skipped or Skipped()
        nothing: dict[bytes, bytes] = {}
        stored = read_key(self._name, lambda: self._redis.hgetall(self._name), nothing, skipped)
        commits = {}
        for field, payload in stored.items():
            try:
                commits[int(field)] = _decode(payload)
            except ValueError as error:
                skipped.add(COMMITS, "no commit", f"field {shortened(field)}: {error}")
        return commits


def _decode(payload: bytes) -> Commit:
    commit = msgspec.json.decode(payload, type=Commit)
    if commit.low_offset > commit.offset:
        raise ValueError(f"low_offset {commit.low_offset} is above offset {commit.offset}")
    return commit


def _lost(partition: int) -> str:
    return f"partition {partition} has another owner now: what was not committed is left to it"
