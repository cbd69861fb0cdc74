"""Whether a Redis keeps its rows: its version, role, eviction, persistence and memory.

Counts are exact only while Redis keeps every row: one that evicts forgets a user, who then begins
anew. What would lose rows is refused, unless a setting accepts it; what may is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.services.redis import CHECK_TIMEOUT_S, EMBEDDED, check_redis, masked
from headrace.settings.variables import variable

MIN_VERSION: Final = (5, 0)  # the oldest that the tests of the stores and commits pass on
NEARLY_FULL: Final = 0.9
HOSTED: Final = "of a hosted Redis, its parameter"
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class RedisCondition(msgspec.Struct, frozen=True, kw_only=True):
    """The condition that one Redis server reports; empty or None where it does not tell."""

    address: str
    version: str = ""
    mode: str = ""  # standalone, cluster or sentinel
    role: str = ""  # master, or slave: a replica, which is read only
    policy: str = ""  # maxmemory-policy
    max_memory: Count = 0  # bytes; 0: no limit
    used_memory: Count = 0
    evicted_keys: Count = 0  # since the server started
    persists: bool | None = None
    is_embedded: bool = False  # started by headrace, to be tried: it is meant to keep nothing

    @property
    def may_evict(self) -> bool:
        """Whether a row without an expiry may go when memory is short."""
        return self.policy.startswith("allkeys-") and self.max_memory > 0

    @property
    def is_nearly_full(self) -> bool:
        """Whether less than a tenth of `max_memory` is left."""
        return self.max_memory > 0 and self.used_memory > NEARLY_FULL * self.max_memory


def check_store(settings: Settings) -> list[str]:
    """The warnings of the Redis of REDIS_URL; raises `ServiceError` where it would lose rows."""
    check_redis(settings.redis_url)
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=CHECK_TIMEOUT_S,
        socket_connect_timeout=CHECK_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        conditions = read_conditions(client)
    for condition in conditions:
        if condition.mode == "cluster":
            raise ServiceError(
                f"REDIS_URL={masked(settings.redis_url)} is a node of a Redis Cluster: expected "
                "one server, because commands of headrace have keys of several slots; give "
                "commits and boards a Redis of their own, and name the cluster in "
                "connection_string of feature_store.yaml, with redis_type: redis_cluster"
            )
    require_keeping(conditions, settings)
    return warnings_of(conditions, settings)


def read_conditions(client: Any) -> list[RedisCondition]:
    """The condition of a client's server, or of each primary of its cluster.

    Raises Redis's own errors where it does not answer; what it may not tell is left empty.
    """
    if isinstance(client, RedisCluster):
        nodes = client.get_primaries()
        return [_read(client.get_redis_connection(node), node.name) for node in nodes]
    options = client.connection_pool.connection_kwargs
    place = options.get("path") or f"{options.get('host', '')}:{options.get('port', '')}"
    return [_read(client, place)]


def require_keeping(conditions: Sequence[RedisCondition], settings: Settings) -> None:
    """Raises `ServiceError` for the first server that rows must not be trusted to."""
    for problem in _refusals(conditions, settings):
        raise ServiceError(problem)


def problems_of(conditions: Sequence[RedisCondition], settings: Settings) -> list[str]:
    """The problems of these servers, refusals before warnings, one line each."""
    return [*_refusals(conditions, settings), *warnings_of(conditions, settings)]


def warnings_of(conditions: Sequence[RedisCondition], settings: Settings) -> list[str]:
    """The warnings of these servers, faults that are no reason to refuse them, one line each."""
    return [
        f"Redis at {one.address} {problem}"
        for one in conditions
        for problem in (*_of_eviction(one, settings), *_of_keeping(one, settings))
    ]


def _refusals(conditions: Sequence[RedisCondition], settings: Settings) -> Iterator[str]:
    for one in conditions:
        problem = _unfit(one)
        if one.may_evict and not problem and not settings.accept_eviction:
            problem = (
                f"{_evicts(one)}; {_set_policy()}, or {variable('accept_eviction')}=1 to accept it"
            )
        if problem:
            yield f"Redis at {one.address} {problem}"


def _of_eviction(one: RedisCondition, settings: Settings) -> Iterator[str]:
    if one.may_evict and settings.accept_eviction:
        yield (
            f"{_evicts(one)}; that is accepted ({variable('accept_eviction')}): counts are NOT "
            f"exact; {_set_policy()} to make them so"
        )
    if one.policy.startswith("volatile-") and one.max_memory:
        yield (
            f"has maxmemory-policy {one.policy}: rows and reports that have an expiry may go "
            f"before it; expected noeviction: {_set_policy()}"
        )
    if one.is_nearly_full:
        yield (
            f"has used {one.used_memory / one.max_memory:.0%} of its maxmemory "
            f"{one.max_memory:,}: when it is full it refuses writes, or evicts; CONFIG SET "
            f"maxmemory BYTES ({HOSTED} maxmemory, or a larger one)"
        )


def _of_keeping(one: RedisCondition, settings: Settings) -> Iterator[str]:
    accepted = settings.accept_no_persistence or one.is_embedded
    if one.persists is False and not accepted:
        yield (
            "keeps nothing on disk (no append-only file, no save points): when it restarts, rows, "
            "positions and counts are gone, and the stream begins at the start of the log; CONFIG "
            f"SET appendonly yes, or, to accept it, {variable('accept_no_persistence')}=1"
        )
    untold = [] if one.policy else ["eviction policy"]
    if one.persists is None and not accepted:
        untold.append("persistence")
    if untold:
        yield (
            f"does not tell its {' and '.join(untold)} (INFO or CONFIG GET is not allowed): see to "
            "it that its maxmemory-policy is noeviction and that it persists"
        )


def _unfit(one: RedisCondition) -> str:
    """Why no setting can accept this server, empty if there is no reason."""
    if one.mode == "sentinel":
        return "is a Sentinel: expected the server that it watches; name that with REDIS_URL"
    if one.role == "slave":
        return "is a replica, which is read only: expected its primary; name that with REDIS_URL"
    numbers = tuple(map(int, re.findall(r"\d+", one.version)))[:2]
    if numbers and numbers < MIN_VERSION:
        oldest = ".".join(map(str, MIN_VERSION))
        return f"is version {one.version}, expected {oldest} or newer: use a newer one"
    return ""


def _evicts(one: RedisCondition) -> str:
    return (
        f"has maxmemory-policy {one.policy} and maxmemory {one.max_memory:,}: when it is full it "
        "forgets users and positions, whose counts begin anew; expected noeviction"
    )


def _set_policy() -> str:
    return f"CONFIG SET maxmemory-policy noeviction ({HOSTED} maxmemory-policy)"


def _read(client: Any, address: str) -> RedisCondition:
    """The condition of one server, by INFO and, for values that INFO lacks, by CONFIG GET."""
    told = _asked(client.info)
    save, mark = (_asked(partial(client.config_get, name)) for name in ("save", "syslog-ident"))
    policy = told.get("maxmemory_policy") or _asked(
        lambda: client.config_get("maxmemory-policy")
    ).get("maxmemory-policy", "")
    persists = bool(told.get("aof_enabled")) or (bool(save["save"]) if "save" in save else None)
    return RedisCondition(
        address=address,
        version=str(told.get("redis_version", "")),
        mode="cluster" if told.get("cluster_enabled") else str(told.get("redis_mode", "")),
        role=str(told.get("role", "")),
        policy=str(policy),
        max_memory=int(told.get("maxmemory", 0)),
        used_memory=int(told.get("used_memory", 0)),
        evicted_keys=int(told.get("evicted_keys", 0)),
        persists=persists,
        is_embedded=mark.get("syslog-ident") == EMBEDDED,
    )


def _asked(ask: Any) -> dict[str, Any]:
    """An answer of Redis, empty where it refuses to give one."""
    try:
        answer: dict[str, Any] = ask()
    except (redis.ConnectionError, redis.TimeoutError):
        raise
    except (redis.ResponseError, RedisClusterException):
        return {}
    return answer
