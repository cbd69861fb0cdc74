"""Round trips: rows out of Redis and into it, on one server or on a cluster, waiting or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis import asyncio as redis_asyncio
from redis.cluster import RedisCluster
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    RedisError,
)

from headrace.errors import StoreUnavailable
from headrace.features.store.keys import Key, PackedView
from headrace.features.store.rows import Rows, UnknownSchema, decode_rows
from headrace.features.store.schema import Schema

ROWS_PER_COMMAND: Final = 100  # keeps each command short, for other clients and for caches
KEYS_PER_SCAN: Final = 1_000

# Header bytes 8 to 15 are the event time. Lua's numbers hold microseconds exactly until 2255.
_SET_IF_NEWER: Final = """
local written = 0
for i, key in ipairs(KEYS) do
  local stored, row = redis.call('GETRANGE', key, 8, 15), ARGV[i + 1]
  if #stored < 8 or struct.unpack('<i8', stored) < struct.unpack('<i8', row, 9) then
    if ARGV[1] == '0' then redis.call('SET', key, row)
    else redis.call('SET', key, row, 'EX', ARGV[1]) end
    written = written + 1
  end
end
return written
"""

log = logging.getLogger(__name__)
# What is no hash cannot be the schemas of a view: it would let no row be written.
_DESCRIBE: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
"""
_SET_EXPIRING: Final = """
for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1]) end
"""

Command = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Rows to be read of one view."""

    view: PackedView
    keys: list[Key]


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """`newer_only`: a row replaces only one of an earlier event time. `key_ttl_s` 0: for ever."""

    newer_only: bool
    key_ttl_s: int = 0


def fetch(
    client: Any, reads: Sequence[Read], schemas: dict[int, Schema], now_us: int
) -> list[Rows]:
    """The rows of all views in one round trip, and one more for a schema not met before."""
    return fetch_beside(client, reads, (), schemas, now_us)[0]


def fetch_beside(
    client: Any,
    reads: Sequence[Read],
    others: Sequence[Key],
    schemas: dict[int, Schema],
    now_us: int,
) -> tuple[list[Rows], list[bytes | None]]:
    """The same, and the values of other keys in the same round trip."""
    with redis_errors("read"):
        keys = _keys(reads)
        payloads = _mget(client, [*keys, *others]) if keys or others else []
        beside = payloads[len(keys) :]
        try:
            return _decoded(reads, payloads, schemas, now_us), beside
        except UnknownSchema:
            for read in reads:
                _learn(schemas, client.hvals(read.view.key))
    return _decoded(reads, payloads, schemas, now_us, lost=True), beside


async def fetch_async(
    client: Any, reads: Sequence[Read], schemas: dict[int, Schema], now_us: int
) -> list[Rows]:
    """The same as `fetch`, without blocking the event loop."""
    with redis_errors("read"):
        keys = _keys(reads)
        payloads = await _mget(client, keys) if keys else []
        try:
            return _decoded(reads, payloads, schemas, now_us)
        except UnknownSchema:
            for read in reads:
                _learn(schemas, await client.hvals(read.view.key))
    return _decoded(reads, payloads, schemas, now_us, lost=True)


def store(client: Any, commands: Sequence[Command]) -> None:
    """Run the commands in one round trip."""
    with redis_errors("written"), client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        pipe.execute()


async def store_async(client: Any, commands: Sequence[Command]) -> None:
    """The same as `store`, without blocking the event loop."""
    with redis_errors("written"):
        async with client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            await pipe.execute()


def write_commands(
    client: Any,
    view: PackedView,
    keys: Sequence[Key],
    payloads: Sequence[bytes],
    policy: WritePolicy,
) -> list[Command]:
    """The commands that write these rows: each row whole or not at all, its schema before it."""
    name, schema = f"{view.schema.hash:016x}", view.schema.to_json()
    describe = ("EVAL", _DESCRIBE, 1, view.key, name, schema)
    size = keys_per_command(client)
    commands: list[Command] = [describe]
    for start in range(0, len(keys), size):
        some, rows = keys[start : start + size], payloads[start : start + size]
        if policy.newer_only:
            commands.append(("EVAL", _SET_IF_NEWER, len(some), *some, policy.key_ttl_s, *rows))
        elif policy.key_ttl_s:
            commands.append(("EVAL", _SET_EXPIRING, len(some), *some, policy.key_ttl_s, *rows))
        elif size == 1:
            commands.append(("SET", some[0], rows[0]))
        else:
            pairs: list[Any] = [None] * (2 * len(some))
            pairs[::2], pairs[1::2] = some, rows
            commands.append(("MSET", *pairs))
    return commands


def keys_per_command(client: Any) -> int:
    """How many keys a command may have: on a cluster those of one must be on one node."""
    return 1 if _is_cluster(client) else ROWS_PER_COMMAND


def delete_view(client: Any, view: PackedView) -> None:
    """Delete the rows and schemas of a view, and nothing else."""
    pattern = view.key + b"/*"  # quoted, so nothing in the names is a wildcard
    with redis_errors("deleted"):
        batch: list[bytes] = []
        for key in client.scan_iter(match=pattern, count=KEYS_PER_SCAN):
            batch.append(key)
            if len(batch) == KEYS_PER_SCAN:
                store(client, [("UNLINK", key) for key in batch])
                batch = []
        store(client, [("UNLINK", key) for key in [*batch, view.key]])


@contextmanager
def redis_errors(done: str) -> Iterator[None]:
    """Redis's errors as `StoreUnavailable`, with the remedy where one is known."""
    try:
        yield
    except (RedisConnectionError, OSError) as error:
        raise StoreUnavailable(
            f"features were not {done}: no Redis answers ({error}); is it running, and is "
            "connection_string (REDIS_URL) its address?"
        ) from error
    except RedisError as error:
        if "> 'maxmemory'" in str(error):  # out of a script it has no type of its own
            raise StoreUnavailable(
                f"features were not {done}: Redis is at its maxmemory; give it more memory, or let "
                "rows expire with key_ttl_seconds"
            ) from error
        raise StoreUnavailable(f"features were not {done}: Redis refused ({error})") from error


def _is_cluster(client: Any) -> bool:
    return isinstance(client, RedisCluster | redis_asyncio.RedisCluster)


def _mget(client: Any, keys: list[Key]) -> Any:
    """All keys in one round trip: one command, or one per slot in a pipeline per node."""
    return client.mget_nonatomic(keys) if _is_cluster(client) else client.mget(keys)


def _keys(reads: Sequence[Read]) -> list[Key]:
    return reads[0].keys if len(reads) == 1 else [key for read in reads for key in read.keys]


def _learn(schemas: dict[int, Schema], descriptors: Sequence[bytes]) -> None:
    for descriptor in descriptors:
        try:
            schema = Schema.from_json(descriptor)
            schemas[schema.hash] = schema
        except (ValueError, TypeError, KeyError) as error:
            log.warning("a row schema that is none, %.100r: %s", descriptor, error)


def _decoded(
    reads: Sequence[Read],
    payloads: Sequence[bytes | None],
    schemas: Mapping[int, Schema],
    now_us: int,
    lost: bool = False,
) -> list[Rows]:
    rows, start = [], 0
    for read in reads:
        some = payloads[start : start + len(read.keys)]
        rows.append(decode_rows(read.view, some, schemas, now_us, lost))
        start += len(some)
    return rows
