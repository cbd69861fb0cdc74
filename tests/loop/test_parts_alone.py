"""The parts as a team runs them: each a command of its own, on Redis and a broker that run already.

The tests run in order on one set of parts: they start, process a replay, refuse poison, and end.
No RAY_ADDRESS is set: each part that needs Ray starts its own, though some earlier Ray has left
its address on the machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition
from platform_run import write_slice
from redis import Redis

from headrace import config
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.features.schema import INPUT_SCHEMA
from headrace.monitoring.documents import TrainDocument
from headrace.monitoring.status import StatusBoard
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.haproxy import short_folder
from headrace.services.kafka import start_broker
from headrace.services.ports import free_port
from headrace.services.redis import start_redis

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

NUM_RATINGS, EVENTS_PER_S = 1_500, 300
START_TIMEOUT_S, STOP_TIMEOUT_S = 120.0, 30.0  # three Rays and Feast three times, on two cores
NOT_JSON = b"\xff not json"
UNKNOWN_VERSION = b'{"version":99,"type":"click","user_id":"1","item_id":"1"}'
JSON = {"Content-Type": "application/json"}
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


class Team:
    """Three parts in the background, and commands beside them, all with the same settings."""

    def __init__(self, folder: Path, redis_url: str, bootstrap: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self._ray_folder = short_folder()  # Ray's socket paths are long
        leave_ray_address(Path(self._ray_folder.name))
        unset = ("RAY_ADDRESS", "HEADRACE_")
        self._environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith(unset)},
            "RAY_TMPDIR": self._ray_folder.name,
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NAMESPACE": "parts_alone",
            "HEADRACE_CLICK_WINDOW_S": "5",
            "HEADRACE_PORT": str(free_port()),
            "REDIS_URL": redis_url,
            "KAFKA_BOOTSTRAP": bootstrap,
        }
        self.settings = config.load(self._environ)
        self.topics = Topics(self.settings.namespace)
        self._redis = Redis.from_url(redis_url)
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        self.seen: set[psutil.Process] = set()

    def run(self, *arguments: str) -> str:
        """A command that ends by itself, and ends well; returns what it printed."""
        done = subprocess.run(
            self._command(*arguments), env=self._environ, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, part: str) -> None:
        with self._log_path(part).open("wb") as log:
            self.parts[part] = subprocess.Popen(
                self._command(part),
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, part: str) -> str:
        return self._log_path(part).read_text(errors="replace")

    def look(self) -> set[psutil.Process]:
        """Every process of the parts that runs now; those that daemonize are found by session."""
        sessions = {process.pid for process in self.parts.values()}
        found = set()
        for part in self.parts.values():
            if part.poll() is None:
                process = psutil.Process(part.pid)
                found |= {process, *process.children(recursive=True)}
        found |= {p for p in psutil.process_iter() if _session(p) in sessions}
        self.seen |= found
        return found

    def wait_for(self, what: str, done: Callable[[], bool], timeout_s: float) -> None:
        """Return when `done`; fail with the parts' logs when it takes too long or a part ended."""
        deadline = time.monotonic() + timeout_s
        while not done():
            ended = {name: part.poll() for name, part in self.parts.items()}
            if any(code is not None for code in ended.values()) or time.monotonic() > deadline:
                logs = "\n".join(f"{name}: {self.log(name)[-1500:]}" for name in self.parts)
                raise AssertionError(f"{what} did not come; exit codes {ended}; logs:\n{logs}")
            time.sleep(0.2)

    def totals(self) -> Commit:
        """What the stream has counted, over all partitions."""
        commits = CommitStore(self._redis, self.settings.namespace).read_all().values()
        return Commit(
            accepted=sum(commit.accepted for commit in commits),
            rejected=sum(commit.rejected for commit in commits),
            duplicates=sum(commit.duplicates for commit in commits),
            unsigned=sum(commit.unsigned for commit in commits),
        )

    def post(self, path: str, document: dict[str, Any]) -> int:
        """The status of an answer to this document."""
        url = f"http://127.0.0.1:{self.settings.http.port}{path}"
        request = urllib.request.Request(url, json.dumps(document).encode(), JSON)
        with urllib.request.urlopen(request, timeout=5) as response:
            return int(response.status)

    def num_samples(self) -> int:
        documents = StatusBoard(self._redis, self.settings.namespace).read(TrainDocument)
        return max((document.samples for document in documents), default=0)

    def model_version(self) -> int:
        """The version that a recommendation names; -1 while nothing answers."""
        url = f"http://127.0.0.1:{self.settings.http.port}/v1/recommend"
        body = json.dumps({"user_id": "259", "record": False}).encode()
        try:
            request = urllib.request.Request(url, body, JSON)
            with urllib.request.urlopen(request, timeout=5) as response:
                slate: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            return -1
        except OSError:
            return -1
        return int(slate["model_version"] or 0)

    def close(self) -> None:
        self.look()
        for process in self.seen:
            if process.is_running():
                process.kill()
        for part in self.parts.values():
            part.wait()
        self._redis.close()
        self._ray_folder.cleanup()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "headrace.cli", *arguments]

    def _log_path(self, part: str) -> Path:
        return self.folder / f"{part}.log"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("alone")
    write_slice(folder / "data", NUM_RATINGS)
    environ = {name: value for name, value in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", environ) as broker:
        team = Team(folder, redis.url, broker.bootstrap)
        try:
            yield team
        finally:
            team.close()


def test_the_parts_process_a_replay(team: Team) -> None:
    team.run("materialize", "--dataset", "movielens", "--data", str(team.data))
    for part in ("stream", "train", "serve"):
        team.start(part)
    said = team.run("replay", f"--data={team.data}", f"--speed={EVENTS_PER_S}")
    assert said.startswith(f"replayed {NUM_RATINGS} events of movielens in ")
    team.wait_for(
        "all events", lambda: team.totals() == Commit(accepted=NUM_RATINGS), START_TIMEOUT_S
    )
    team.wait_for("all samples", lambda: team.num_samples() == NUM_RATINGS, START_TIMEOUT_S)
    team.wait_for("a slate by a model", lambda: team.model_version() > 0, START_TIMEOUT_S)


def test_nothing_listens_beyond_loopback(team: Team) -> None:
    names = {process.pid: process.name() for process in team.look()}
    listening = {
        (names[connection.pid], connection.laddr)
        for connection in psutil.net_connections("inet")
        if connection.pid in names and connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 10
    assert not {(name, address) for name, address in listening if address.ip not in LOOPBACK}


def test_poison_is_kept_with_its_reason_and_counted(team: Team) -> None:
    writer = LogWriter(team.settings)
    for poison in (NOT_JSON, UNKNOWN_VERSION):
        writer.send(team.topics.events, poison, key=b"1")
    writer.flush()
    writer.close()
    expected = Commit(accepted=NUM_RATINGS, rejected=2)
    team.wait_for("the rejections", lambda: team.totals() == expected, 20)
    letters = read_letters(team, 2)
    assert letters.keys() == {NOT_JSON, UNKNOWN_VERSION}
    assert letters[UNKNOWN_VERSION]["field"] == b"version"
    assert b"99" in letters[UNKNOWN_VERSION]["reason"]
    assert letters[NOT_JSON]["field"] == b"$" and letters[NOT_JSON]["reason"]


def test_a_second_replay_counts_as_duplicates_only(team: Team) -> None:
    team.run("replay", f"--data={team.data}", "--speed=1000")
    expected = Commit(accepted=NUM_RATINGS, rejected=2, duplicates=NUM_RATINGS)
    team.wait_for("the duplicates", lambda: team.totals() == expected, 30)
    time.sleep(2)  # a sample made of a duplicate would be trained by now
    assert (team.totals(), team.num_samples()) == (expected, NUM_RATINGS)


def test_the_features_of_a_replica_are_taken_and_those_of_a_client_are_not(team: Team) -> None:
    before, trained = team.totals(), team.num_samples()
    shown = {"item_id": "1", "clicked": True}
    served = {"schema": INPUT_SCHEMA, "dense": "", "history": ""}
    claimed = {"type": "impression", "user_id": "259", "request_id": "r", "items": [shown]}
    assert team.post("/v1/recommend", {"user_id": "259", "num_items": 1}) == 200
    assert team.post("/v1/events", {**claimed, "served": served}) == 202
    expected = msgspec.structs.replace(before, accepted=before.accepted + 2, unsigned=1)
    team.wait_for("both impressions", lambda: team.totals() == expected, 30)
    team.wait_for("both samples", lambda: team.num_samples() == trained + 2, 30)


def test_each_part_ends_when_it_is_asked_to(team: Team) -> None:
    team.look()
    for part in team.parts.values():
        part.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    codes = {
        name: part.wait(timeout=max(0.1, deadline - time.monotonic()))
        for name, part in team.parts.items()
    }
    assert codes["stream"] == codes["serve"] == 0, (team.log("stream"), team.log("serve"))
    assert codes["train"] in (0, -signal.SIGTERM), team.log("train")
    _, left = psutil.wait_procs(list(team.seen), timeout=10)
    assert not left


def leave_ray_address(temporary: Path) -> None:
    """What a Ray that ended leaves behind: `ray.init()` without an address would try to join it."""
    (temporary / "ray").mkdir()
    (temporary / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{free_port()}")


def read_letters(team: Team, num_letters: int) -> dict[bytes, dict[str, bytes]]:
    """The headers of the dead letters, by the original bytes."""
    partition = TopicPartition(team.topics.dead_letters, 0)
    consumer = KafkaConsumer(
        bootstrap_servers=team.settings.kafka_bootstrap, enable_auto_commit=False
    )
    consumer.assign([partition])
    consumer.seek(partition, 0)
    letters: dict[bytes, dict[str, bytes]] = {}
    deadline = time.monotonic() + 10
    while len(letters) < num_letters and time.monotonic() < deadline:
        for raw in consumer.poll(timeout_ms=500).get(partition, []):
            letters[raw.value] = dict(raw.headers)
    consumer.close()
    return letters


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return -1
