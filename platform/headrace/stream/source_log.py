"""The log that the stream's commits belong to, remembered beside them."""

from __future__ import annotations

from redis import Redis

from headrace.broker.topics import LogIdentity, Topics, agreed, log_identity
from headrace.config import Settings

ADVICE = "choose another namespace (HEADRACE_NAMESPACE) or an empty Redis database"


def bind_to_log(settings: Settings) -> LogIdentity:
    """Remember which event log the positions in Redis belong to; refuse another one.

    It is the cluster and the topics that the stream's state comes from, which readers are to hold
    on to. Raises `LogMismatch`.
    """
    redis = Redis.from_url(settings.redis_url)
    topics, name = Topics(settings.namespace), f"{settings.namespace}:log"
    found = log_identity(settings, topics.events, topics.item_partials, topics.item_features)
    redis.set(name, str(found), nx=True)
    stored = (redis.get(name) or b"").decode()
    kept = agreed(stored, found, "in Redis", ADVICE)
    if str(kept) != stored:
        redis.set(name, str(kept))
    return kept
