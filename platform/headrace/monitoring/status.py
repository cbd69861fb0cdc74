"""Status: what each running part says about itself, in Redis, for the view and the report.

A part overwrites its own document; a restarted part is a new instance, so that what the earlier one
measured stays. Documents disappear an hour after their last update.
"""

from __future__ import annotations

import os
import secrets
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.latency import NUM_BINS
from headrace.skipped import Skipped

KEEP_S = 3_600
FRESH_MS = 5_000
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Pairs = list[tuple[Annotated[int, msgspec.Meta(ge=0, lt=NUM_BINS)], Count]]


class Document(TypedDict):
    """What every document says; more is in it."""

    updated_ms: Count
    pid: int


class ReplayDocument(Document):
    """What the view reads of a replay."""

    sent: Count
    of: Count


class StreamDocument(Document):
    """What is read of a stream worker; its views are looked at by `headrace.monitoring.health`."""

    worker: Count
    lag: Count
    schema: int
    views: dict[str, Any]


class TrainDocument(Document):
    """What the view reads of the trainer."""

    lag: Count | None
    samples: Count
    held: NotRequired[str]  # why the newest version is not published


class ServeDocument(Document):
    """What the view reads of a replica."""

    requests: Count
    latency: Pairs
    model_version: Count
    model_created_ms: Count
    model_freshness: Pairs
    error: str


class StatusBoard:
    """The status documents of one namespace."""

    def __init__(self, redis: Redis, namespace: str, skipped: Skipped | None = None) -> None:
        self._redis, self._namespace = redis, namespace
        self._skipped = skipped or Skipped()
        self._instance = f"{os.getpid()}-{secrets.token_hex(4)}"

    def write(self, part: str, document: dict[str, Any], now_ms: int) -> None:
        """Replace this instance's document of `part`."""
        payload = msgspec.json.encode({"updated_ms": now_ms, "pid": os.getpid(), **document})

        def write() -> None:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(f"{self._index(part)}:{self._instance}", payload, ex=KEEP_S)
                pipe.sadd(self._index(part), self._instance)
                pipe.expire(self._index(part), KEEP_S)
                pipe.execute()

        write_key(self._redis, self._index(part), write, self._skipped)

    def read(self, part: str, form: Any = Document) -> list[dict[str, Any]]:
        """The documents of all instances of `part`, also of those that ended; what is none, or
        lacks what `form` has, is passed over and counted."""
        name = self._index(part)
        nothing: set[bytes] = set()
        instances = sorted(
            read_key(name, lambda: self._redis.smembers(name), nothing, self._skipped)
        )
        names = [name.encode() + b":" + instance for instance in instances]
        documents = self._redis.mget(names) if names else []
        gone = [one for one, d in zip(instances, documents, strict=True) if d is None]
        if gone:
            self._redis.srem(self._index(part), *gone)
        found = [
            self._decoded(f"{part} {one!r}", document, form)
            for one, document in zip(instances, documents, strict=True)
            if document is not None
        ]
        return [document for document in found if document is not None]

    def _decoded(self, name: str, payload: bytes, form: Any) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, Any])
            msgspec.convert(document, form)
        except (ValueError, RecursionError) as error:  # what msgspec raises, too
            self._skipped.add("status", "no document", f"{name}: {error}")
            return None
        return document

    def _index(self, part: str) -> str:
        """The set of the instances: looking for keys by a pattern would pass over every row."""
        return f"{self._namespace}:status:{part}"
