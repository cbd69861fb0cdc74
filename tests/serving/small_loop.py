"""A loop in miniature for the tests: real servers, a small catalogue, the trainer's own steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.catalogue.vector_table import SCHEMA as VECTOR_SCHEMA
from headrace.catalogue.vector_table import VectorTable
from headrace.config import Settings
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.keys import key
from headrace.sample import SEQUENCE_KNOWN, Sample, encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from serving.replica.follow import Live
from trainers.online import OnlineTrainer

NOW_MS = 1_714_554_000_000
ITEMS = tuple(Item(f"i{n}", f"film {n % 5}", ("drama",) if n % 2 else ()) for n in range(30))
USERS = tuple(User(f"u{n}", (f"age={n % 3}",)) for n in range(5))
SHOP = Dataset("shop", ITEMS, USERS, lambda: iter(()), 0, NOW_MS, NOW_MS)
MAX_STEPS = 100


@dataclass(frozen=True)
class SmallLoop:
    """Servers that run, and a folder; each namespace is a loop of its own."""

    folder: Path
    redis_url: str
    bootstrap: str

    def settings(self, namespace: str, **changes: object) -> Settings:
        """Settings of a namespace with its catalogue and its topics."""
        settings = config.settings(
            namespace=namespace,
            home=self.folder,
            redis_url=self.redis_url,
            kafka_bootstrap=self.bootstrap,
            num_partitions=1,
            progressive_window=20,
            **changes,
        )
        write_catalogue(SHOP, config.catalogue_path(settings), NOW_MS)
        create_topics(settings)
        return settings

    def write_vectors(self, name: str, width: int) -> None:
        """A finished vector table: two of three items have a vector."""
        random = np.random.default_rng(width)
        table = VectorTable(config.vectors_path(self.settings("vectors")), name)
        rows = [
            {"item_id": item.item_id, "content_hash": 1, "vector": random.normal(0, 1, width)}
            for n, item in enumerate(ITEMS)
            if n % 3
        ]
        table.append(pa.Table.from_pylist(rows, VECTOR_SCHEMA))
        table.finish(dict.fromkeys((item.item_id for item in ITEMS), 1))


@contextmanager
def small_loop(folder: Path) -> Iterator[SmallLoop]:
    """The servers, until the block ends."""
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", {}) as broker:
        yield SmallLoop(folder, redis.url, broker.bootstrap)


def sample(number: int, **changes: object) -> Sample:
    """A request of four items of which it is known what was clicked, and nothing else."""
    random = np.random.default_rng(number)
    items = random.choice(len(ITEMS), 4, replace=False)
    history_3T = np.zeros((3, HISTORY_LENGTH), np.int64)
    history_3T[:, :3] = [[key(f"i{n}") for n in (1, 2, 4)], [1_000, 60_000, 10**7], [1, 0, 3]]
    made = Sample(
        source_partition=0,
        source_offset=number,
        sequence=SEQUENCE_KNOWN,
        schema=INPUT_SCHEMA,
        request_id=f"r{number}",
        event_time_ms=NOW_MS + number,
        arrival_ms=NOW_MS + number,
        user_key=key(USERS[number % 5].user_id),
        user_word_keys=(key(f"user:age={number % 3}"),),
        item_keys=tuple(key(f"i{n}") for n in items),
        outcomes=tuple(int(n % 4 == 1) for n in items),
        labelled=1,
        dense=random.normal(0, 1, (4, NUM_DENSE)).astype("<f4").tobytes(),
        history=history_3T.tobytes(),
    )
    return msgspec.structs.replace(made, **changes)


@contextmanager
def trained(settings: Settings, samples: Sequence[Sample]) -> Iterator[OnlineTrainer]:
    """A trainer that has read these samples from their topic, trained on all, and published."""
    with closing(LogWriter(settings)) as writer:
        for message in encode_batches(samples):
            writer.send(Topics(settings.namespace).samples, message, partition=0)
        writer.flush()
    seconds = itertools.count()
    expected = sum(one.num_impressions for one in samples)
    with closing(OnlineTrainer(settings, lambda: NOW_MS + 1_000 * next(seconds))) as trainer:
        for _ in range(MAX_STEPS):
            trainer.step()
            if trainer.learner.num_samples == expected and trainer.version:
                break
        assert trainer.learner.num_samples == expected
        yield trainer


@contextmanager
def replica(settings: Settings) -> Iterator[Live]:
    """What a replica holds, before it has read anything."""
    with closing(Live(settings, lambda: NOW_MS)) as live:
        yield live
