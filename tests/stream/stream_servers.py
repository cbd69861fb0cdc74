"""Servers for a worker in this process: Redis, the embedded broker, topics and a catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace import config
from headrace.broker.topics import create_topics
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.features.online.store import OnlineStore
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

FILMS = (Item("7", "Twelve Monkeys", ("Drama",)), Item("8", "Fargo", ("Drama",)))
VIEWERS = (User("1", ("age=20", "occupation=technician")),)


def shop(items: tuple[Item, ...] = FILMS, users: tuple[User, ...] = VIEWERS) -> Dataset:
    """A data set without a log."""
    return Dataset("shop", items, users, lambda: iter(()), 0, 0, 0)


def materialize(settings: config.Settings, dataset: Dataset) -> None:
    """What the parts need before the first event, as `headrace up` writes it: without Feast."""
    create_topics(settings)
    write_catalogue(dataset, config.catalogue_path(settings), now_ms())
    OnlineStore(settings).write_profiles(dataset.users, now_ms())


@contextmanager
def started(
    folder: Path, dataset: Dataset | None = None, is_admin: bool = False, **changes: object
) -> Iterator[config.Settings]:
    """Their settings while they run; `is_admin`: Redis takes commands that change its settings."""
    environ = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", environ) as broker:
        settings = config.settings(
            home=str(folder / "home"),
            redis_url=redis.admin_url if is_admin else redis.url,
            kafka_bootstrap=broker.bootstrap,
            **changes,
        )
        materialize(settings, dataset or shop())
        yield settings
