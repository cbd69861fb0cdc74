"""API keys in Redis, beside the data that replicas read: a hash by id, and days of last use."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from redis import Redis

from headrace.access.api_keys.key import ApiKey
from headrace.skipped import Skipped, shortened

MAX_KEYS = 10_000  # each process that checks keys reads all of them every second


class KeyStore:
    """The keys of one namespace. Methods raise `RedisError` where Redis does not answer."""

    def __init__(self, redis: Redis, namespace: str, skipped: Skipped | None = None) -> None:
        self._redis, self._skipped = redis, skipped or Skipped()
        self._name, self._days = f"{namespace}:api-keys", f"{namespace}:api-key-days"

    def add(self, key: ApiKey) -> None:
        """Keep a key."""
        self._redis.hset(self._name, key.id, msgspec.json.encode(key))

    def all(self) -> list[ApiKey]:
        """Every key, the oldest first; an entry that is no key is passed over and counted."""
        found = self._redis.hgetall(self._name)
        keys = [self._decoded(name, value) for name, value in list(found.items())[:MAX_KEYS]]
        return sorted(filter(None, keys), key=lambda key: (key.created_ms, key.id))

    def revoke(self, key_id: str) -> bool:
        """Forget a key; False where there is none."""
        self._redis.hdel(self._days, key_id)
        return bool(self._redis.hdel(self._name, key_id))

    def mark_used(self, day_by_id: Mapping[str, str]) -> None:
        """Write down the day of the last use of keys."""
        if day_by_id:
            self._redis.hset(self._days, mapping=dict(day_by_id))

    def days_used(self) -> dict[str, str]:
        """The days of the last use, by id, such as 2026-05-01."""
        found = self._redis.hgetall(self._days)
        return {key_id.decode(): day.decode(errors="replace") for key_id, day in found.items()}

    def _decoded(self, name: bytes, value: bytes) -> ApiKey | None:
        try:
            key = msgspec.json.decode(value, type=ApiKey)
            if key.id.encode() == name:
                return key
            told = "it lies under another id"
        except (ValueError, RecursionError) as error:  # what msgspec raises, too
            told = shortened(error)
        self._skipped.add("api keys", "no key", f"field {name!r} of {self._name}: {told}")
        return None
