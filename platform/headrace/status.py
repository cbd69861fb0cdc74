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
        name = f"{self._namespace}:status:{part}:{self._instance}"
        payload = msgspec.json.encode({"updated_ms": now_ms, "pid": os.getpid(), **document})
        self._redis.set(name, payload, ex=KEEP_S)

    def read(self, part: str) -> list[dict[str, Any]]:
        """The documents of all instances of `part`, also of those that ended."""
        names = sorted(self._redis.scan_iter(f"{self._namespace}:status:{part}:*", count=1_000))
        documents = self._redis.mget(names) if names else []
        return [msgspec.json.decode(document) for document in documents if document]
