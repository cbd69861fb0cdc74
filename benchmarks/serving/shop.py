"""A shop to serve: a Redis and a broker, generated items, users with histories, and a version.

What workers and a trainer leave is made here by their own code; none of them runs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from redis import Redis

from benchmarks.catalogue_log import items_of, write_items
from benchmarks.features_stream import Consumer
from benchmarks.ranker import request
from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.catalogue.table.shared import open_items
from headrace.catalogue.words import ContentTable
from headrace.clock import now_ms
from headrace.event import ImpressionEvent, Shown, encode
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.online.store import OnlineStore
from headrace.features.rows.messages.row_messages import merged_messages
from headrace.features.rows.state_row import blank_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import ITEM_LAYOUT, LATELY
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import make_batch
from headrace.model.config import nano
from headrace.offline import materialize
from headrace.registry.manifest import Manifest
from headrace.registry.publisher import Publisher
from headrace.services.kafka import start_broker
from headrace.services.ports import free_port
from headrace.services.redis import start_redis

NUM_USERS, PER_USER, SHOWN = 200, 40, 4  # users, requests of each, items of each
DAY_MS: Final = 86_400_000
WITH_STATES: Final = 100_000  # items that have one, at most
STEPS, GROUP, PER_STEP = 10, 10, 100  # of the learner: requests of so many candidates
AT_ONCE: Final = 10_000


@dataclass(frozen=True)
class Shop:
    """The settings of a shop whose servers run."""

    folder: Path
    settings: config.Settings
    num_items: int

    @cached_property
    def users(self) -> tuple[str, ...]:
        """Those who have histories and attributes."""
        return tuple(f"u{number}" for number in range(NUM_USERS))

    @cached_property
    def items(self) -> tuple[str, ...]:
        """All ids; of a large shop those of the first items."""
        return tuple(f"item-{number}" for number in range(min(self.num_items, WITH_STATES)))


@contextmanager
def shop(num_items: int, **changes: object) -> Iterator[Shop]:
    """A shop of so many items, until the block ends."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        start_redis(Path(name) / "redis") as redis,
        start_broker(Path(name) / "kafka", os.environ) as broker,
    ):
        folder = Path(name)
        given = {"namespace": "serving", "home": folder / "home", "port": free_port()}
        given |= {"redis_url": redis.url, "kafka_bootstrap": broker.bootstrap, "num_partitions": 1}
        settings = config.settings(**{**given, **changes})
        made = Shop(folder, settings, num_items)
        create_topics(settings)
        _write_items(made)
        _write_states(made)
        _write_users(made)
        _publish(made)
        yield made


def _write_items(made: Shop) -> None:
    users = tuple(User(user_id, (f"age={n % 7}", f"city={n % 9}")) for n, user_id in _users(made))
    folder = config.catalogue_path(made.settings)
    write_catalogue(Dataset("shop", (), users, lambda: iter(()), 0, 0, 0), folder, now_ms())
    write_items(folder, made.num_items)
    materialize.apply(made.settings)
    OnlineStore(made.settings).write_profiles(users, now_ms())


def _users(made: Shop) -> Iterator[tuple[int, str]]:
    return iter(enumerate(made.users))


def _write_states(made: Shop) -> None:
    """Tell replicas of the items' states, of which no two trend alike."""
    draw, ids = np.random.default_rng(0), made.items
    topic = Topics(made.settings.namespace).item_features
    with closing(LogWriter(made.settings)) as writer:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            rows = blank_rows(ITEM_LAYOUT, len(some))
            lately_N = rows["state"][ITEM_LAYOUT.field_of[LATELY]]
            lately_N["newest_ms"] = now_ms()
            lately_N["sums"] = draw.integers([500, 1], [1_000, 400], (len(rows), 2))
            rows["partition"], rows["position"], rows["event_time_ms"] = 0, 1, now_ms()
            for about, value in merged_messages(ITEM_LAYOUT, some, rows):
                writer.send(topic, value, about.encoded(), partition=0)
        writer.flush()


def _write_users(made: Shop) -> None:
    """Let a worker take in what the users saw and clicked in the last two days."""
    draw, num_events = np.random.default_rng(1), NUM_USERS * PER_USER
    times_ms = now_ms() - np.sort(draw.integers(600_000, 2 * DAY_MS, num_events))[::-1]
    topic = Topics(made.settings.namespace).events
    with closing(LogWriter(made.settings)) as writer:
        for number, time_ms in enumerate(times_ms.tolist()):
            user_id = made.users[number % NUM_USERS]
            items = draw.choice(len(made.items), SHOWN, replace=False).tolist()
            shown = tuple(
                Shown(made.items[item], place, bool(place == number % SHOWN))
                for place, item in enumerate(items)
            )
            event = ImpressionEvent(f"e{number}", time_ms, user_id, f"r{number}", shown)
            writer.send(topic, encode(event), user_id.encode(), partition=0)
        writer.flush()
    known: tuple[Item, ...] = tuple(items_of(0, min(made.num_items, AT_ONCE)))
    Consumer(made.settings, known, samples=False).run(num_events)


def _publish(made: Shop) -> None:
    """Train on requests that are drawn, and publish what came of it."""
    settings = made.settings
    table = open_items(config.catalogue_path(settings))
    content = ContentTable(table)
    model = replace(nano(NUM_DENSE), rates=RATES)
    key_K = table.keys(table.rows_of_ids(made.items))
    learner = OnlineLearner(model, 0, window=1 << 62)
    for step in range(STEPS):
        seeds = range(step * PER_STEP, (step + 1) * PER_STEP)
        drawn = [request(seed, GROUP, model.history, key_K) for seed in seeds]
        learner.learn(make_batch(drawn, content, model.history))
    manifest = Manifest(
        version=0,
        uri="",
        sha256="",
        created_ms=now_ms(),
        schema=INPUT_SCHEMA,
        model=model,
        num_samples=learner.num_samples,
        newest_event_ms=now_ms(),
    )
    with Redis.from_url(settings.redis_url) as redis:
        with closing(Publisher(settings, redis)) as publisher:
            publisher.publish(learner.weights(), manifest)
