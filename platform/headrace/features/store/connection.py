"""Connections to the Redis of the rows: one server, a cluster, or the primary behind sentinels.

A connection string is a URL as redis-py reads it, or Feast's own form, which begins with the
addresses: `host:port,host:port,name=value,...`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import SSLConnection, parse_url
from redis.sentinel import Sentinel

RedisType = Literal["redis", "redis_cluster", "redis_sentinel"]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the rows lie, as `online_store` of feature_store.yaml says it."""

    string: str
    redis_type: RedisType = "redis"
    sentinel_master: str = "mymaster"

    def client(self) -> Any:
        """A new client; that of a cluster connects at once, others when they are first used."""
        nodes, options = parse_connection_string(self.string)
        if self.redis_type == "redis_cluster":
            return RedisCluster(startup_nodes=[ClusterNode(**node) for node in nodes], **options)
        if self.redis_type == "redis_sentinel":
            hosts = [(node["host"], int(node["port"])) for node in nodes]
            return Sentinel(hosts, **options).master_for(self.sentinel_master)
        return Redis(host=nodes[0]["host"], port=nodes[0]["port"], **options)


def parse_connection_string(text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The nodes in a connection string, each a host and a port, and the options of the client."""
    if "://" in text:
        options: dict[str, Any] = dict(parse_url(text))
        node = {"host": options.pop("host", "localhost"), "port": options.pop("port", 6379)}
        options["ssl"] = options.pop("connection_class", None) is SSLConnection
        return [node], options
    parts = text.split(",")
    nodes = [dict(zip(("host", "port"), p.split(":"), strict=False)) for p in parts if "=" not in p]
    pairs = [part.split("=", 1) for part in parts if "=" in part]
    return nodes, {name: _value(value) for name, value in pairs}


def _value(text: str) -> Any:
    """A number, true or false where the text is one."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
