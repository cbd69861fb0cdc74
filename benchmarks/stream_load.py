"""A stream under load: servers and `headrace stream` as they run for real, events that keep coming,
parts that can be killed, and a recount of the log to compare with."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import psutil
from redis import Redis, RedisError

from benchmarks.load_events import ITEMS, USERS, Recount, acted_event, any_event, bad
from benchmarks.passing_items import FORGOTTEN_AFTER_S, PassingItems
from benchmarks.plain_draws import PlainDraws
from benchmarks.stream_rows import counted, hidden_by, left_of, online_items, published_items, read
from headrace import config, sample
from headrace.broker.record import Record
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import read_items, write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.event import encode
from headrace.features.online.store import OnlineStore
from headrace.monitoring.documents import StreamDocument
from headrace.monitoring.status import StatusBoard
from headrace.offline import materialize
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.kafka import Broker, start_broker
from headrace.services.redis import RedisServer, start_redis

SHARE_OF_COPIES, SHARE_OF_BAD = 0.05, 0.02
FULL_S, WAIT_S = 4.0, 120.0
AWAY_S = 15.0  # longer than redis-py tries again by itself, which is 14 s at most


class StreamUnderLoad:
    """A context manager; `environ` changes the environment of `headrace stream`. With `impressions`
    false the log has none, only what was chosen; with `passing` items come and go meanwhile."""

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        impressions: bool = True,
        passing: bool = False,
    ) -> None:
        self._make_event = any_event if impressions else acted_event
        self._folder, self._stack = folder, ExitStack()
        self._redis: RedisServer = start_redis(folder / "redis", keep="always")
        self._broker: Broker = start_broker(folder / "kafka", os.environ)
        self._environ = {
            **os.environ,
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NAMESPACE": "under_load",
            "REDIS_URL": self._redis.url,
            "KAFKA_BOOTSTRAP": self._broker.bootstrap,
            "HEADRACE_UNKNOWN_ITEM_TTL_S": str(FORGOTTEN_AFTER_S),
            **(environ or {}),
        }
        self.settings = config.load(self._environ)
        self._passing = PassingItems(self.settings) if passing else None
        self.topics = Topics(self.settings.namespace)
        self._commits = CommitStore(Redis.from_url(self._redis.url), self.settings.namespace)
        self._stopping = threading.Event()
        self._sender: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> StreamUnderLoad:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_sending()
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
        self._broker.stop()
        self._redis.stop()

    @property
    def log_text(self) -> str:
        """The output of `headrace stream`."""
        return (self._folder / "stream.log").read_text(errors="replace")

    def start(self, events_per_s: float) -> None:
        """Start the stream; returns when it processes the events that come from then on."""
        items = tuple(Item(item_id, categories=(f"c{n % 7}",)) for n, item_id in enumerate(ITEMS))
        users = tuple(User(user_id) for user_id in USERS)
        dataset = Dataset("load", items, users, lambda: iter(()), 0, 0, 0)
        write_catalogue(dataset, config.catalogue_path(self.settings), round(1_000 * time.time()))
        materialize.apply(self.settings)
        create_topics(self.settings)
        with (self._folder / "stream.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "headrace.cli", "stream"],
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        if self._passing:
            self._passing.start()
        self._sender = threading.Thread(target=self._send, args=(events_per_s,), daemon=True)
        self._sender.start()
        self.wait_for("the first events", lambda: self._processed() > 0)
        wanted = self.settings.stream.num_stream_workers
        self.wait_for("all workers", lambda: len(self.workers()) == wanted)

    def kill(self, target: str) -> None:
        """`kill -9` of a worker, or of Redis or the broker, which are started again at once.

        "away" is Redis started after `AWAY_S` only, "full" one at its maxmemory for `FULL_S`.
        """
        if target == "worker":
            self.wait_for("a worker to kill", lambda: bool(self.workers()))
            random.choice(self.workers()).kill()
        elif target == "full":
            with Redis.from_url(self._redis.admin_url) as redis:
                redis.config_set("maxmemory", "1")  # by default nothing is evicted
                time.sleep(FULL_S)
                redis.config_set("maxmemory", "0")
        elif target in ("redis", "away"):
            _kill(self._redis.process.pid)
            time.sleep(AWAY_S if target == "away" else 0)
            self._redis = self._redis.started_again()
        else:
            port = int(self._broker.bootstrap.rpartition(":")[2])
            _kill(self._broker.process.pid)
            self._broker = start_broker(self._folder / "kafka", os.environ, port)

    def workers(self) -> list[psutil.Process]:
        """The processes of the stream workers."""
        board = StatusBoard(Redis.from_url(self._redis.url), self.settings.namespace)
        now_ms = int(time.time() * 1_000)
        alive = {one.pid for one in board.read(StreamDocument) if one.is_fresh(now_ms)}
        return [psutil.Process(pid) for pid in alive if psutil.pid_exists(pid)]

    def wait_progress(self) -> None:
        """Until every partition goes on from where it is now."""
        before = self._offsets()
        self.wait_for(
            "progress of all partitions",
            lambda: all(now > before.get(n, 0) for n, now in self._offsets().items()),
        )

    def finish(self) -> None:
        """Send no more, and wait until all that was sent is processed."""
        self._stop_sending()
        ends = Counter(record.partition for record in self._read(self.topics.events))
        self.wait_for("the end of the log", lambda: self._offsets() == dict(ends))

    def differences(self) -> dict[str, int]:
        """How far the counts are from a recount of the log: all zero, or something is wrong."""
        stream = self.settings.stream
        rules = stream.negatives_per_positive, stream.negatives_popularity, stream.dedupe_window
        catalogue = tuple(read_items(config.catalogue_path(self.settings)))
        expected = Recount(self._read(self.topics.events), PlainDraws(catalogue, *rules))
        commits = self._commits.read_all().values()
        samples: dict[tuple[int, int], sample.Sample] = {}
        for record in self._read(self.topics.samples):
            for one in sample.decode_batch(record.value):  # of two, readers take the first
                samples.setdefault((one.source_partition, one.source_offset), one)
        told = {
            at: [*one.outcomes][: len(expected.outcomes.get(at, ()))] for at, one in samples.items()
        }
        # Of which items is drawn while they come and go, goes by when a worker has heard of them.
        draws = {} if self._passing else expected.drawn
        drawn = {at: samples[at].item_keys for at in draws.keys() & samples.keys()}
        letters = {record.value for record in self._read(self.topics.dead_letters, 1)}
        store = OnlineStore(self.settings)
        users = {user: counted(store.read_user_rows([user])) for user in USERS}
        hidden = hidden_by(store)
        passing = self._passing or PassingItems(self.settings)
        items, ids = published_items(self.settings), [*ITEMS, *passing.staying()]
        online = online_items(store, ids)
        return {
            "events": expected.num_accepted,
            "accepted": sum(c.accepted for c in commits) - expected.num_accepted,
            "duplicates": sum(c.duplicates for c in commits) - expected.num_duplicates,
            "rejected": sum(c.rejected for c in commits) - expected.num_rejected,
            "dead_letters": len(letters ^ expected.bad),
            "samples": len(samples.keys() ^ expected.outcomes.keys()),
            "outcomes": sum(told.get(at) != one for at, one in expected.outcomes.items()),
            "drawn": sum(drawn.get(place) != keys for place, keys in draws.items()),
            "users": sum(users[id_] != expected.users(id_) for id_ in USERS),
            "items": sum(items.get(id_, counted()) != expected.items(id_) for id_ in ids),
            "items_online": sum(online[id_] != expected.items(id_) for id_ in ids),
            "items_gone": len(passing.gone()),
            "items_left": len(left_of(self.settings, passing.gone(), store)),
            "hidden": sum(hidden[at] != expected.hidden.get(at, {}) for at in hidden),
        }

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Return when `done`; raises with the stream's own words when it takes too long."""
        deadline = time.monotonic() + WAIT_S
        while not done():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come; it says:\n{self.log_text[-3_000:]}")
            time.sleep(0.2)

    def _send(self, events_per_s: float) -> None:
        """Events until told to stop, at a steady rate; some are sent twice, some are bad."""
        draw, writer, sent = random.Random(7), LogWriter(self.settings), 0
        started = time.monotonic()
        while not self._stopping.is_set():
            due = int((time.monotonic() - started) * events_per_s)
            for number in range(sent, due):
                items = [*(self._passing.shown() if self._passing else ()), *ITEMS]
                event = self._make_event(draw, number, items)
                key, is_bad = event.user_id.encode(), draw.random() < SHARE_OF_BAD
                payload = bad(draw, event) if is_bad else encode(event)
                for _ in range(2 if not is_bad and draw.random() < SHARE_OF_COPIES else 1):
                    writer.send(self.topics.events, payload, key=key)
            sent = max(sent, due)
            self._stopping.wait(0.05)
        writer.flush()
        writer.close()

    def _stop_sending(self) -> None:
        self._stopping.set()
        if self._sender:
            self._sender.join()
        if self._passing:
            self._passing.stop()

    def _read(self, topic: str, num_partitions: int | None = None) -> list[Record]:
        return read(self.settings, topic, num_partitions)

    def _commits_now(self) -> dict[int, Commit]:
        try:
            return self._commits.read_all()
        except RedisError:  # it is being started again
            return {}

    def _offsets(self) -> dict[int, int]:
        return {number: commit.offset for number, commit in self._commits_now().items()}

    def _processed(self) -> int:
        return sum(self._offsets().values())


def _kill(pid: int | None) -> None:
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    process.wait(10)
