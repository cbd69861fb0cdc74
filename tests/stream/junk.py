"""Junk, and the real servers that it is put into, for the tests of what the parts make of it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import numpy as np
from redis import Redis

from headrace import config
from headrace.broker.partitioner import partition_of
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.clock import now_ms
from headrace.event import ClickEvent, encode
from headrace.features.online.store import OnlineStore
from headrace.features.table import LIFE, USER_LAYOUT
from headrace.monitoring.health import read_health
from headrace.monitoring.health_report import to_document, to_tables
from headrace.positions.store import CommitStore
from headrace.stream.worker import Worker

JUNK = [
    b"",
    b"\xff\x00garbage",
    b"null",
    b"[]",
    b"{}",
    b"\x91\xc0",
    b'{"a":' * 5_000,
    b"x" * 50_000,
]
JUNK += [np.random.default_rng(seed).bytes(seed * 37) for seed in range(1, 9)]
PATIENCE_S = 40.0


@contextmanager
def running(settings: config.Settings, ends: bool = False) -> Iterator[threading.Thread]:
    """A worker in a thread; it must not end by itself, unless it `ends`."""
    stopping, errors = threading.Event(), list[BaseException]()
    worker = Worker(settings, range(settings.stream.num_partitions), now_ms)

    def run() -> None:
        try:
            worker.run(stopping.is_set)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield thread
        assert thread.is_alive() or ends, f"the worker ended: {errors}"
    finally:
        stopping.set()
        thread.join(30)
    assert not errors


def send(settings: config.Settings, topic: str, *messages: Any, partition: int = 0) -> None:
    """Values, or keys and values, to a partition."""
    with closing(LogWriter(settings)) as writer:
        for message in messages:
            key, value = message if isinstance(message, tuple) else (None, message)
            writer._producer.send(topic, value=value or None, key=key or b"k", partition=partition)
        writer.flush()


def click(settings: config.Settings, user: str, **changes: Any) -> bytes:
    event = ClickEvent(os.urandom(8).hex(), now_ms(), user, "7")
    with closing(LogWriter(settings)) as writer:
        message = encode(msgspec.structs.replace(event, **changes))
        writer.send(Topics(settings.namespace).events, message, key=user.encode())
        writer.flush()
    return message


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def counts(settings: config.Settings) -> tuple[int, int]:
    with Redis.from_url(settings.redis_url) as redis:
        commits = CommitStore(redis, settings.namespace).read_all().values()
    return sum(c.accepted for c in commits), sum(c.rejected for c in commits)


def has_accepted(settings: config.Settings, num: int) -> bool:
    return counts(settings)[0] == num


def shown_of(settings: config.Settings, user: str) -> float:
    rows = OnlineStore(settings).read_user_rows([user])
    return float(rows["state"][USER_LAYOUT.field_of[LIFE]][:, 0].sum())


def user_of(partition: int, num_partitions: int = 2) -> str:
    names = (f"u{partition}{n}" for n in range(100))
    return next(u for u in names if partition_of(u.encode(), num_partitions) == partition)


def skipped(settings: config.Settings) -> dict[tuple[str, str], int]:
    with Redis.from_url(settings.redis_url) as redis:
        health = read_health(redis, settings.namespace, now_ms())
    assert list(to_tables(health)) and to_document(health)["skipped"] is not None
    counts = Counter[tuple[str, str]]()
    for part, kind in health.skipped:
        counts[part, kind.source] += kind.count
    return counts


def records_of_topic(settings: config.Settings, topic: str) -> list[Record]:
    with closing(LogReader(settings, topic, {0: 0, 1: 0})) as reader:
        return [record for records in reader.read_to_end() for record in records]
