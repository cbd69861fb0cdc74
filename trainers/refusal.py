"""The refusal: word that a training loop leaves in Redis, for `headrace train` to say and end."""

from __future__ import annotations

from typing import Final

from redis import Redis

from headrace import config

KEEP_S: Final = 3_600


def tell_refusal(settings: config.Settings, reason: str) -> None:
    """Leave word why the loop will not go on; Ray Train would try again."""
    with Redis.from_url(settings.redis_url) as redis:
        redis.set(_key(settings), reason, ex=KEEP_S)


def take_refusal(settings: config.Settings) -> str:
    """The word that a loop left."""
    with Redis.from_url(settings.redis_url) as redis:
        return (redis.getdel(_key(settings)) or b"the loop ended by itself").decode()


def _key(settings: config.Settings) -> str:
    return f"{settings.namespace}:train:refusal"
