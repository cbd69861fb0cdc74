"""Redis, a broker and a catalogue of one item, for a trainer in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.sample import SEQUENCE_KNOWN, Sample, encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis


@contextmanager
def started(tmp_path: Path) -> Iterator[config.Settings]:
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(tmp_path / "redis") as redis, start_broker(tmp_path / "kafka", plain) as log:
        settings = config.settings(
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


def plain_sample(offset: int, at_ms: int, num_items: int = 1, **changes: Any) -> Sample:
    """A request of items without features, of which the first is clicked at odd offsets."""
    one = Sample(
        source_partition=0,
        source_offset=offset,
        sequence=SEQUENCE_KNOWN,
        schema=INPUT_SCHEMA,
        request_id=f"r{offset}",
        event_time_ms=at_ms,
        arrival_ms=at_ms,
        user_key=1,
        user_word_keys=(),
        item_keys=tuple(range(2, 2 + num_items)),
        outcomes=(offset % 2, *[0] * (num_items - 1)),
        labelled=1,
        dense=np.zeros((num_items, NUM_DENSE), "<f4").tobytes(),
        history=np.zeros((3, HISTORY_LENGTH), "<i8").tobytes(),
    )
    return msgspec.structs.replace(one, **changes)


def send(settings: config.Settings, samples: list[Sample]) -> None:
    writer = LogWriter(settings)
    for message in encode_batches(samples):
        writer.send(Topics(settings.namespace).samples, message, partition=0)
    writer.flush()
    writer.close()
