"""Redis, a broker and a catalogue of one item, for a trainer in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.sample import Sample, encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis


@contextmanager
def started(tmp_path: Path) -> Iterator[config.Settings]:
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(tmp_path / "redis") as redis, start_broker(tmp_path / "kafka", plain) as log:
        settings = config.Settings(
            namespace="tables",
            home=str(tmp_path),
            redis_url=redis.url,
            kafka_bootstrap=log.bootstrap,
            num_partitions=1,
            batch_size=8,
        )
        dataset = Dataset("some", (Item("mug"),), (User("ann"),), lambda: iter(()), 0, 0, 0)
        write_catalogue(dataset, config.catalogue_path(settings), now_ms())
        create_topics(settings)
        yield settings


def send(settings: config.Settings, samples: list[Sample]) -> None:
    writer = LogWriter(settings)
    for message in encode_batches(samples):
        writer.send(Topics(settings.namespace).samples, message, partition=0)
    writer.flush()
    writer.close()
