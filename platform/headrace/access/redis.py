"""Access to Redis for whoever must not wait: clients that give up in time instead of trying on.

redis-py waits for ever for an answer, and tries three times with pauses of up to ten seconds where
nobody answers. Here each answer has a time, and a connection that Redis has closed meanwhile, as
after its restart, is replaced once.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry


def prompt_redis(url: str, timeout_s: float) -> Redis:
    """A client of the Redis at a URL that raises `RedisError` where an answer takes longer."""
    client = Redis.from_url(url)
    limit_waits(client, timeout_s)
    return client


def limit_waits(client: Any, timeout_s: float) -> None:
    """Do the same to a client, of one server or of a cluster, that has no connections yet."""
    is_cluster = hasattr(client, "get_nodes")
    nodes = [node.redis_connection for node in client.get_nodes()] if is_cluster else [client]
    waits = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }
    for node in filter(None, nodes):
        node.connection_pool.disconnect()
        node.connection_pool.connection_kwargs.update(waits)
    if is_cluster:
        client.nodes_manager.connection_kwargs.update(waits)
