"""Junk of every kind in every topic and key, beside 10,000 good events, while the platform runs.

`headrace up` replays MovieLens' first ratings meanwhile. Commits, which say how far partitions were
processed, are left alone: a damaged one stops its partition until it is mended, on purpose.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from kafka import KafkaProducer
from redis import Redis

from benchmarks.newids import Platform
from headrace import config
from headrace.broker.topics import Topics
from headrace.positions.store import CommitStore

NUM_GOOD: Final = 10_000
EVENTS_PER_S: Final = 250.0
ROUNDS: Final = 3
LEFT_ALONE: Final = (b":commits", b":epochs", b":log", b":serving-key")
ENDED: Final = "ended by itself"
WAIT_S: Final = 60.0
JUNK: Final = (
    *(None, b"\xff\x00garbage", b"null", b"[]", b"{}", b"\x91\xc0", b'{"a":' * 5_000),
    *(random.Random(seed).randbytes(97 * seed) for seed in range(1, 20)),
    b"x" * 500_000,
)


def run() -> dict[str, Any]:
    """Good events that were counted, of how many, junk that was written, and parts that stopped."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder), NUM_GOOD, EVENTS_PER_S)
        try:
            platform.wait_replayed(at_least=1_000)
            settings = platform.settings()
            num_messages = num_keys = 0
            with closing(Redis.from_url(settings.redis_url)) as redis:
                for _ in range(ROUNDS):
                    num_messages += into_topics(settings)
                    num_keys += into_keys(redis, settings)
                    time.sleep(3)
                platform.wait_replayed()
                counted = _wait_counted(redis, settings)
            stopped = platform.log().count(ENDED)
        finally:
            platform.close()
    return {
        "good_counted": counted,
        "good_sent": NUM_GOOD,
        "junk_messages": num_messages,
        "junk_keys": num_keys,
        "parts_stopped": stopped,
    }


def into_topics(settings: config.Settings) -> int:
    """One of each kind to each partition of each topic, with keys and without; how many."""
    topics, num = Topics(settings.namespace), 0
    states = (topics.item_partials, topics.item_features)
    names = (topics.events, topics.samples, topics.feature_rows, *states)
    with closing(KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)) as producer:
        for name in (*names, topics.models, topics.dead_letters):
            for partition in producer.partitions_for(name):
                for key in (b"", b"item/0:50", b"item:50", b"\xff"):
                    for value in JUNK:
                        producer.send(name, value=value, key=key, partition=partition)
                        num += 1
        producer.flush()
    return num


def into_keys(redis: Redis, settings: config.Settings) -> int:
    """Bytes, and values of other types, over one key of each kind; how many."""
    kinds: dict[bytes, bytes] = {}
    for name in redis.scan_iter(count=1_000):
        if settings.namespace.encode() in name and not name.endswith(LEFT_ALONE):
            kinds.setdefault(bytes(c for c in name if not 48 <= c <= 57)[-24:], name)
    for number, name in enumerate(kinds.values()):
        redis.delete(name)
        if number % 3:
            redis.set(name, JUNK[1 + number % (len(JUNK) - 1)] or b"")
        else:
            redis.rpush(name, b"no such type")
    return len(kinds)


def _wait_counted(redis: Redis, settings: config.Settings) -> int:
    """Events accepted once all were, or after a while."""
    store, ends_s = CommitStore(redis, settings.namespace), time.monotonic() + WAIT_S
    while True:
        accepted = sum(commit.accepted for commit in store.read_all().values())
        if accepted >= NUM_GOOD or time.monotonic() > ends_s:
            return accepted
        time.sleep(0.5)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
