"""The status board: the documents of all parts of a namespace in Redis, written and read.

A part overwrites its own document; a restarted part is a new instance, so that what the earlier one
measured stays. Documents disappear an hour after their last update.
"""

from __future__ import annotations

import os
import secrets
from typing import Final, TypeVar

import msgspec
from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.monitoring.documents import Document
from headrace.skipped import Skipped

KEEP_S: Final = 3_600

AnyDocument = TypeVar("AnyDocument", bound=Document)


class StatusBoard:
    """The status documents of one namespace."""

    def __init__(self, redis: Redis, namespace: str, skipped: Skipped | None = None) -> None:
        self._redis, self._namespace = redis, namespace
        self._skipped = skipped or Skipped()
        self._instance = f"{os.getpid()}-{secrets.token_hex(4)}"

    def write(self, document: Document, now_ms: int) -> None:
        """Replace this instance's document of the part, stamped with the time and the process."""
        stamped = msgspec.structs.replace(document, updated_ms=now_ms, pid=os.getpid())
        payload, index = msgspec.json.encode(stamped), self._index(document.part)

        def write() -> None:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(f"{index}:{self._instance}", payload, ex=KEEP_S)
                pipe.sadd(index, self._instance)
                pipe.expire(index, KEEP_S)
                pipe.execute()

        write_key(self._redis, index, write, self._skipped)

    def read(self, form: type[AnyDocument]) -> list[AnyDocument]:
        """The documents of all instances of a part, also of those that ended; an invalid
        document is passed over and counted."""
        name = self._index(form.part)
        nothing: set[bytes] = set()
        instances = sorted(
            read_key(name, lambda: self._redis.smembers(name), nothing, self._skipped)
        )
        names = [name.encode() + b":" + instance for instance in instances]
        documents = self._redis.mget(names) if names else []
        gone = [one for one, d in zip(instances, documents, strict=True) if d is None]
        if gone:
            self._redis.srem(name, *gone)
        found = [
            self._decoded(f"{form.part} {one!r}", document, form)
            for one, document in zip(instances, documents, strict=True)
            if document is not None
        ]
        return [document for document in found if document is not None]

    def _decoded(self, name: str, payload: bytes, form: type[AnyDocument]) -> AnyDocument | None:
        try:
            document = msgspec.json.decode(payload, type=form)
            if not document.updated_ms:
                raise ValueError("it does not say when it was written")
        except (ValueError, RecursionError) as error:  # what msgspec raises, too
            self._skipped.add("status", "no document", f"{name}: {error}")
            return None
        return document

    def _index(self, part: str) -> str:
        """The set of the instances: looking for keys by a pattern would pass over every row."""
        return f"{self._namespace}:status:{part}"
