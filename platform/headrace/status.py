"""Status: what each running part says about itself, in Redis, for the view and the report.

A part overwrites its own document; a restarted part is a new instance, so that what the earlier one
measured stays. Documents disappear an hour after their last update.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import msgspec
from redis import Redis

KEEP_S = 3_600
FRESH_MS = 5_000


class StatusBoard:
    """The status documents of one namespace."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis, self._namespace = redis, namespace
        self._instance = f"{os.getpid()}-{secrets.token_hex(4)}"

    def write(self, part: str, document: dict[str, Any], now_ms: int) -> None:
        """Replace this instance's document of `part`."""
        payload = msgspec.json.encode({"updated_ms": now_ms, "pid": os.getpid(), **document})
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(f"{self._index(part)}:{self._instance}", payload, ex=KEEP_S)
            pipe.sadd(self._index(part), self._instance)
            pipe.expire(self._index(part), KEEP_S)
            pipe.execute()

    def read(self, part: str) -> list[dict[str, Any]]:
        """The documents of all instances of `part`, also of those that ended."""
        instances = sorted(self._redis.smembers(self._index(part)))
        names = [f"{self._index(part)}:{instance.decode()}" for instance in instances]
        documents = self._redis.mget(names) if names else []
        gone = [one for one, d in zip(instances, documents, strict=True) if d is None]
        if gone:
            self._redis.srem(self._index(part), *gone)
        return [msgspec.json.decode(document) for document in documents if document]

    def _index(self, part: str) -> str:
        """The set of the instances: looking for keys by a pattern would pass over every row."""
        return f"{self._namespace}:status:{part}"
