"""The stream's part of `features`: events into features in Redis, on one core.

    stream_vs_bare_consumer   events/s through poll, decode, dedupe, 31 features of users and items,
                              and rows written to Redis, over events/s of a kafka-python consumer
                              that only decodes the same JSON to the same types
    stream_events_per_s       the first of the two; `with_samples_events_per_s` makes a sample of
                              each event beside it
    stream_cores              CPU time of the first, all threads, over its wall time
    event_to_online_p99_ms    producer's time stamp to the end of the write, at half that rate
    bytes_per_user            growth of the process per user with a row and 64 outcomes in memory

Users and items are Zipf(1.05); a server's own work is on the other core.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
from kafka import KafkaConsumer, TopicPartition

from benchmarks.pairs import interval, seconds
from headrace import config
from headrace.broker.reader import POLL_MS, LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown, encode
from headrace.features.online.store import OnlineStore
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import blank_rows
from headrace.features.rows.user_table import UserTable
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT
from headrace.offline import materialize
from headrace.positions.commit import Commit
from headrace.sample import encode_batches
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from headrace.stream.memory import keep_freed
from headrace.stream.step.intake import decode_records
from headrace.stream.step.negatives import NOTHING, Negatives
from headrace.stream.step.partition import Effects, Partition, PartitionSettings

NUM_EVENTS, NUM_USERS, NUM_ITEMS = 100_000, 50_000, 10_000
MAX_RECORDS = 5_000
NUM_PAIRS = 7
PACED_S = 10.0
MEMORY_USERS = 100_000


def measure_stream() -> dict[str, Any]:
    """The measurements, by key."""
    bytes_per_user = _bytes_per_user()  # first: later the process grows into what was freed
    with served("bench") as settings:
        return {**_measure(settings), "bytes_per_user": bytes_per_user}


@contextmanager
def served(namespace: str) -> Iterator[config.Settings]:
    """A Redis and a broker, for one partition in this process, which keeps freed memory."""
    keep_freed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            start_redis(folder / "redis") as redis,
            start_broker(folder / "kafka", os.environ) as broker,
        ):
            yield config.settings(
                namespace=namespace,
                home=str(folder / "home"),
                redis_url=redis.url,
                kafka_bootstrap=broker.bootstrap,
                num_partitions=1,
            )


def _measure(settings: config.Settings) -> dict[str, Any]:
    items = prepare(settings)
    produce(settings, NUM_EVENTS, None)
    stream_s: list[float] = []
    bare_s: list[float] = []
    sampled_s: list[float] = []
    cpu_s: list[float] = []
    for pair in range(NUM_PAIRS):
        plain, sampling = (Consumer(settings, items, samples) for samples in (False, True))
        works: list[tuple[list[float], Callable[[], object]]] = [
            (stream_s, plain.run),
            (bare_s, lambda: _bare(settings)),
        ]
        for times, work in works if pair % 2 else works[::-1]:
            times.append(seconds(work))
        cpu_s.append(plain.cpu_s)
        sampled_s.append(seconds(sampling.run))
    ratios = [bare / stream for bare, stream in zip(bare_s, stream_s, strict=True)]
    events_per_s = NUM_EVENTS / statistics.median(stream_s)
    return {
        "stream_vs_bare_consumer": statistics.median(ratios),
        "stream_vs_bare_consumer_interval_95": interval(ratios),
        "stream_events_per_s": events_per_s,
        "bare_events_per_s": NUM_EVENTS / statistics.median(bare_s),
        "with_samples_events_per_s": NUM_EVENTS / statistics.median(sampled_s),
        "event_to_online_p99_ms": _paced(settings, items, events_per_s / 2),
        "stream_cores": statistics.median(
            cpu / wall for cpu, wall in zip(cpu_s, stream_s, strict=True)
        ),
        "stream_s": stream_s,
        "bare_s": bare_s,
    }


def prepare(settings: config.Settings) -> tuple[Item, ...]:
    """A catalogue, topics and a store for the events; returns the items."""
    items = tuple(Item(f"i{n}", categories=(f"c{n % 20}",)) for n in range(NUM_ITEMS))
    dataset = Dataset("bench", items, (User("u0"),), lambda: iter(()), 0, 0, 0)
    write_catalogue(dataset, config.catalogue_path(settings), int(time.time() * 1_000))
    materialize.apply(settings)
    create_topics(settings)
    return items


class Consumer:
    """A stream worker without topics to write to: one partition, one process. Like a worker's, its
    rows are written while the next events are taken in."""

    def __init__(
        self,
        settings: config.Settings,
        items: tuple[Item, ...],
        samples: bool,
        negatives: Negatives = NOTHING,
    ) -> None:
        by_id = {item.item_id: item for item in items}
        rules = PartitionSettings(200_000, 300_000, samples=samples, negatives=negatives)
        self._partition = Partition(0, Commit(), MergedState(by_id.get), rules)
        self._store = OnlineStore(settings)
        topic = Topics(settings.namespace).events
        self._reader = LogReader(settings, topic, {0: 0}, MAX_RECORDS)
        self.delays_ms: list[float] = []
        self.cpu_s = 0.0  # of all threads

    def run(self, num_events: int = NUM_EVENTS) -> None:
        """Process so many events."""
        started_s = time.process_time()
        with ThreadPoolExecutor(max_workers=1) as thread:
            written: Future[None] = thread.submit(lambda: None)
            while self._partition.commit.offset < num_events:
                records = self._reader.poll()
                effects = self._take_in(records)
                written.result()
                written = thread.submit(self._write, effects, records)
            written.result()
        self._reader.close()
        self.cpu_s = time.process_time() - started_s

    def _take_in(self, records: list[Record]) -> Effects:
        now_ms = int(time.time() * 1_000)
        decoded = decode_records(records, now_ms)
        missing = self._partition.missing_users(decoded)
        stored = [None] * len(missing)  # a new log: nobody has a row yet
        self._partition.add_users(missing, stored, [()] * len(missing))
        return self._partition.process(decoded, now_ms)

    def _write(self, effects: Effects, records: list[Record]) -> None:
        for _ in encode_batches(effects.samples):  # which would be sent
            pass
        changed = effects.changed
        self._store.write(USER_LAYOUT, *changed.users)
        if "item" in changed.partials:
            self._store.write(ITEM_LAYOUT, *changed.partials["item"])
        written_ms = time.time() * 1_000
        self.delays_ms += [written_ms - record.arrival_ms for record in records]


def _bare(settings: config.Settings) -> None:
    """The baseline, a consumer without features in kafka-python alone: poll, and the same types."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=MAX_RECORDS,
    )
    consumer.assign([TopicPartition(Topics("bench").events, 0)])
    decoder = msgspec.json.Decoder(Event)
    seen = 0
    while seen < NUM_EVENTS:
        for records in consumer.poll(timeout_ms=POLL_MS).values():
            seen += len([decoder.decode(record.value) for record in records])
    consumer.close()


def _paced(settings: config.Settings, items: tuple[Item, ...], events_per_s: float) -> float:
    """99th percentile of the delay while another process sends at this rate."""
    paced = config.changed(settings, namespace="paced")
    materialize.apply(paced)
    create_topics(paced)
    num_events = int(events_per_s * PACED_S)
    consumer = Consumer(paced, items, samples=False)
    code = "from benchmarks.features_stream import *; import sys; produce_here(sys.argv[1:])"
    sender = subprocess.Popen(
        [sys.executable, "-c", code, str(num_events), str(events_per_s)],
        env={**os.environ, **config.environment(paced)},
    )
    consumer.run(num_events)
    sender.wait()
    return float(np.percentile(consumer.delays_ms[num_events // 5 :], 99))


def produce_here(arguments: list[str]) -> None:
    """`produce` with the settings of the environment."""
    produce(config.load(), int(arguments[0]), float(arguments[1]))


def produce(
    settings: config.Settings,
    num_events: int,
    events_per_s: float | None,
    impressions: bool = True,
) -> None:
    """Send events of Zipf users and items, as fast as can be or at this rate: impressions, or
    clicks without any."""
    draw = np.random.default_rng(5)
    users = (draw.zipf(1.05, num_events) * 7_919) % NUM_USERS
    items = (draw.zipf(1.05, num_events) * 7_919) % NUM_ITEMS
    writer, topic, started = (
        LogWriter(settings),
        Topics(settings.namespace).events,
        time.monotonic(),
    )
    for number in range(num_events):
        if events_per_s and number % 50 == 0:
            time.sleep(max(0.0, started + number / events_per_s - time.monotonic()))
        item, user, now_ms = f"i{items[number]}", f"u{users[number]}", int(time.time() * 1_000)
        shown = (Shown(item, 0, number % 3 == 0),)
        event: Event = ImpressionEvent(f"e{number}", now_ms, user, f"r{number}", shown)
        if not impressions:
            event = ClickEvent(f"e{number}", now_ms, user, item)
        writer.send(topic, encode(event), key=user.encode(), partition=0)
    writer.flush()
    writer.close()


def _bytes_per_user() -> float:
    """How much the process grows per user in a table of users."""
    process, before = psutil.Process(), 0
    table = UserTable(0, MEMORY_USERS)
    for start in range(0, MEMORY_USERS, 1_000):
        if start == 1_000:  # what the first users need is needed once
            before = process.memory_info().rss
        ids = [f"user-{number}" for number in range(start, start + 1_000)]
        rows = blank_rows(USER_LAYOUT, len(ids))
        rows["state"]["user_impressions_log"] += 1.0  # touch every page
        table.add(ids, rows, [()] * len(ids))
        del rows
    return float(process.memory_info().rss - before) / (MEMORY_USERS - 1_000)
