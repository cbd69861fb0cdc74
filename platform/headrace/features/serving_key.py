"""The serving key: replicas sign the features that they served, and nobody else can.

Whoever may send events could otherwise choose the features that his samples are trained on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import msgspec
from redis import Redis
from redis.exceptions import ResponseError

from headrace.errors import ServiceError
from headrace.event import ImpressionEvent, Served

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 16

_encoder = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class ServingKey:
    """A secret that the replicas and stream workers of a namespace share."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, redis: Redis, namespace: str) -> ServingKey:
        """The key of a namespace, which Redis keeps; whoever asks first makes it."""
        name = f"{namespace}:serving-key"
        redis.set(name, secrets.token_bytes(KEY_BYTES), nx=True)
        try:
            secret = redis.get(name) or b""
        except ResponseError:  # it is no string
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ServiceError(
                f"Redis key {name} is no serving key of {KEY_BYTES} bytes: delete it, and start "
                "the replicas and the stream again"
            )
        return cls(secret)

    def sign(self, event: ImpressionEvent) -> ImpressionEvent:
        """The same impression with its served features signed."""
        if event.served is None:
            return event
        signed = msgspec.structs.replace(event.served, signature=self._signature(event))
        return msgspec.structs.replace(event, served=signed)

    def has_signed(self, event: ImpressionEvent) -> bool:
        """Whether the served features of an impression are signed with this key."""
        given = event.served.signature if event.served else b""
        return secrets.compare_digest(given, self._signature(event))

    def _signature(self, event: ImpressionEvent) -> bytes:
        """Of all that the features belong to: nobody can move them to another request."""
        served = event.served or Served(0, b"", b"")
        item_ids = [shown.item_id for shown in event.items]
        said = (event.user_id, event.request_id, item_ids, str(served.schema))
        content = _encoder.encode((*said, served.dense, served.history))
        return blake2b(content, digest_size=SIGNATURE_BYTES, key=self.secret).digest()
