"""A replica with servers of its own that the tests of faults stop, kill and start again."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from stream_servers import materialize

from benchmarks.outside import NO_KAFKA, kafka_environ
from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics, create_topics
from headrace.catalogue.item import Dataset, Item, User
from headrace.config import Settings
from headrace.event import Event, decode
from headrace.services.haproxy import short_folder
from headrace.services.kafka import Broker, start_broker
from headrace.services.ports import free_port
from headrace.services.processes.process import ServerProcess
from headrace.services.redis import RedisServer, start_redis

ROOT = Path(__file__).resolve().parents[2]
NOW_MS = 1_714_554_000_000
ITEMS = tuple(Item(f"i{n}", f"film {n % 5}", ("drama",) if n % 2 else ()) for n in range(30))
USERS = tuple(User(f"u{n}", (f"age={n % 3}",)) for n in range(5))
SHOP = Dataset("shop", ITEMS, USERS, lambda: iter(()), 0, NOW_MS, NOW_MS)
DEADLINE_S = 1.5  # of events
JSON = {"Content-Type": "application/json"}


def broker_environ(kind: str) -> dict[str, str]:
    """The environment that starts this broker; skips where it is not there."""
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    if kind == "embedded":
        return plain
    if not kafka_environ():
        pytest.skip(NO_KAFKA)
    return {**plain, **kafka_environ()}


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP, and how long it took."""

    status: int
    headers: Mapping[str, str]
    document: Any
    took_s: float


def ask(
    port: int,
    path: str,
    document: Any = None,
    method: str = "",
    headers: Mapping[str, str] = JSON,
    timeout_s: float = 20.0,
) -> Reply:
    """What a server on this port answers; a document is posted as JSON."""
    body = document if isinstance(document, bytes) else None
    if body is None and document is not None:
        body = msgspec.json.encode(document)
    started_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers))
        response = connection.getresponse()
        answered = response.read()
    finally:
        connection.close()
    try:
        found = msgspec.json.decode(answered) if answered else None
    except msgspec.DecodeError:
        found = answered
    given = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, given, found, time.monotonic() - started_s)


def together(calls: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """The replies to calls that are made at one time."""
    replies: list[Reply | None] = [None] * len(calls)

    def run(place: int) -> None:
        replies[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [reply for reply in replies if reply is not None]


def wait_for(what: str, done: Callable[[], bool], timeout_s: float = 20.0) -> float:
    """Seconds until `done`; fails when it takes too long."""
    started_s = time.monotonic()
    while not done():
        assert time.monotonic() - started_s < timeout_s, f"{what} took more than {timeout_s} s"
        time.sleep(0.05)
    return time.monotonic() - started_s


@contextmanager
def paused(process: ServerProcess) -> Iterator[None]:
    """The server stands still, its connections open, until the block ends."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@dataclass
class Stand:
    """A replica, its Redis and its broker."""

    folder: Path
    environ: Mapping[str, str]  # of the broker
    redis: RedisServer
    broker: Broker
    settings: Settings
    replica: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.settings.http.port

    def start(self) -> None:
        """Start the replica, and wait until it lives."""
        script = Path(__file__).with_name("one_replica.py")
        self.run([sys.executable, str(script), str(self.port)], {})

    def run(self, command: Sequence[str], more: Mapping[str, str]) -> None:
        """Start what answers, and wait until it does."""
        unset = ("RAY_ADDRESS", "KAFKA_HOME", "HEADRACE_")
        plain = {name: text for name, text in os.environ.items() if not name.startswith(unset)}
        environ = {**plain, **config.environment(self.settings), "OMP_NUM_THREADS": "1", **more}
        environ["PYTHONPATH"] = f"{ROOT / 'platform'}:{ROOT}"
        with (self.folder / "replica.log").open("ab") as log:
            self.replica = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for("the replica", self.is_up, 90)

    def kill(self) -> None:
        """End the replica at once."""
        if self.replica is not None:
            self.replica.kill()
            self.replica.wait()

    def process(self, title: str) -> psutil.Process:
        """What runs below, by a part of its command line; fails where it does not."""
        assert self.replica is not None
        for process in psutil.Process(self.replica.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if title in " ".join(process.cmdline()):
                    return process
        raise AssertionError(f"no process {title!r}")

    def is_up(self) -> bool:
        assert self.replica is not None and self.replica.poll() is None, self.log()
        try:
            return ask(self.port, "/livez").status == 200
        except OSError:
            return False

    def log(self) -> str:
        return (self.folder / "replica.log").read_text(errors="replace")[-3_000:]

    def restart_broker(self) -> None:
        """Kill the broker and start it where it was; the embedded one has lost everything."""
        assert self.broker.process.pid is not None
        os.kill(self.broker.process.pid, signal.SIGKILL)
        self.broker.stop()
        port = int(self.broker.bootstrap.rpartition(":")[2])
        kept = self.folder / "kafka"
        self.broker = start_broker(kept, self.environ, port)
        create_topics(self.settings)

    def restart_redis(self) -> None:
        """Kill Redis and start it, empty, where it was."""
        self.redis = self.redis.started_again()

    def slate(self, **more: Any) -> Reply:
        return ask(self.port, "/v1/recommend", {"user_id": "u1", **more})

    def post(self, document: Any) -> Reply:
        return ask(self.port, "/v1/events", document)

    def logged(self) -> list[Event]:
        """All events in the log."""
        start = dict.fromkeys(range(self.settings.stream.num_partitions), 0)
        topic = Topics(self.settings.namespace).events
        with closing(LogReader(self.settings, topic, start)) as reader:
            found = [record for records in reader.read_to_end() for record in records]
        return [decode(record.value, record.arrival_ms) for record in found]


def click(event_id: str, user_id: str = "u1") -> dict[str, Any]:
    return {"type": "click", "user_id": user_id, "item_id": "i1", "event_id": event_id}


class FrontDoor(Stand):
    """`headrace serve`: replicas in a Ray of its own, behind HAProxy."""

    def start(self) -> None:
        self.ray_folder = short_folder()  # Ray's socket paths are long
        command = [sys.executable, "-m", "headrace.cli", "serve"]
        self.run(command, {"RAY_TMPDIR": self.ray_folder.name})

    def kill(self) -> None:
        """Ask it to end, then see to it that all of it does."""
        if self.replica is None:
            return
        started = psutil.Process(self.replica.pid).children(recursive=True)
        self.replica.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.replica.wait(20)
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.replica.kill()
        self.replica.wait()
        self.ray_folder.cleanup()


@contextmanager
def stand(
    folder: Path, environ: Mapping[str, str], kind: type[Stand] = Stand, **changes: object
) -> Iterator[Stand]:
    """A replica that answers, without a model, until the block ends."""
    with ExitStack() as stack:
        redis = start_redis(folder / "redis")
        broker = start_broker(folder / "kafka", environ)
        given = {"namespace": "front", "home": folder / "home", "num_partitions": 4}
        given |= {"port": free_port(), "redis_url": redis.url, "kafka_bootstrap": broker.bootstrap}
        settings = config.settings(events_deadline_s=DEADLINE_S, **{**given, **changes})
        made = kind(folder, environ, redis, broker, settings)
        stack.callback(lambda: (made.broker.stop(), made.redis.stop()))
        stack.callback(made.kill)
        materialize(settings, SHOP)
        made.start()
        yield made
