"""The samples as the online trainer reads them: from its positions, in the topic they belong to."""

from __future__ import annotations

from collections.abc import Mapping

from redis import Redis

from headrace.broker import LogReader, Topics, log_identity
from headrace.config import Settings
from headrace.topics import agreed

KEEP_S = 3_600


def open_samples(
    settings: Settings, positions: Mapping[int, int], log: str
) -> tuple[LogReader, str]:
    """A reader of the samples, and the identity of their topic, to be kept with the positions.

    `log` is the identity that was kept, "" for none. Raises `LogMismatch` for other samples.
    """
    topic = Topics(settings.namespace).samples
    folder = settings.home_path / "train" / f"{settings.namespace}-online"
    advice = (
        f"choose another namespace (HEADRACE_NAMESPACE), or move {folder} away to begin a new model"
    )
    kept = agreed(log, log_identity(settings, topic), "in the trainer's checkpoint", advice)
    return LogReader(settings, topic, positions, settings.batch_size), kept


def tell_refusal(settings: Settings, reason: str) -> None:
    """Leave word for `headrace train` why its loop will not go on; Ray Train would try again."""
    with Redis.from_url(settings.redis_url) as redis:
        redis.set(_refusal_name(settings), reason, ex=KEEP_S)


def take_refusal(settings: Settings) -> str:
    """The word that a loop left."""
    with Redis.from_url(settings.redis_url) as redis:
        return (redis.getdel(_refusal_name(settings)) or b"the loop ended by itself").decode()


def _refusal_name(settings: Settings) -> str:
    return f"{settings.namespace}:train:refusal"
