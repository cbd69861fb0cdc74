"""`headrace up` as clients find it: started, looked into, and ended."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.front.generator import Kind, Plan
from benchmarks.newids import write_slice
from headrace import config
from headrace.services.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
NUM_RATINGS, EVENTS_PER_S = 1_000, 200
START_S = 300.0
REDIS, BROKER, HAPROXY = "redis-server", r"kafka\.Kafka|tansu", "haproxy -db"
REPLICA, TRAINER, STREAM = "ServeReplica", "RayTrainWorker", "StreamWorker"
FRONT: Final = f"{REPLICA}|{HAPROXY}"
TABLE: Final = """\
events: {file: events.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}
items: {file: items.csv, item_id: i, title: name}
"""


class Running:
    """A platform on a log of its own. `environ` goes to it; `checkout` is whose code runs."""

    users: tuple[str, ...] = tuple(str(number) for number in range(1, 944))
    items: tuple[str, ...] = tuple(str(number) for number in range(1, 1_683))

    def __init__(self, folder: Path, environ: Mapping[str, str], checkout: Path = ROOT) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._write_data(folder / "data")
        unset = ("RAY_ADDRESS", "HEADRACE_", "REDIS_URL", "KAFKA_")
        plain = {name: text for name, text in os.environ.items() if not name.startswith(unset)}
        code = f"{checkout / 'platform'}:{checkout}"
        own = {"HEADRACE_HOME": str(folder / "home"), "PYTHONPATH": code}
        with (folder / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "headrace.cli", "up", f"--data={folder / 'data'}"),
                    *(f"--speed={EVENTS_PER_S}", f"--port={self.port}", "--requests-per-s=0"),
                ],
                cwd=checkout,
                env={**plain, **own, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(120)
            except subprocess.TimeoutExpired:
                self._process.kill()

    @property
    def process(self) -> psutil.Process:
        """`headrace up` itself."""
        return psutil.Process(self._process.pid)

    @property
    def is_running(self) -> bool:
        """Whether `headrace up` has not ended."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """Its output so far."""
        return (self.folder / "up.log").read_text(errors="replace")

    def wait_serving(self) -> None:
        """Until its log is processed and served; raises with its words where it is not."""
        ends_s = time.monotonic() + START_S
        while "the log is processed" not in self.said:
            if not self.is_running or time.monotonic() > ends_s:
                raise AssertionError(f"headrace up did not serve:\n{self.said[-3_000:]}")
            time.sleep(0.5)
        time.sleep(2)

    def settings(self) -> config.Settings:
        """Those of the parts, by the environment that they were started with."""
        for process in psutil.Process(self._process.pid).children(recursive=True):
            if "stream" in process.cmdline():
                return config.load(process.environ())
        raise AssertionError(f"no stream runs:\n{self.said[-3_000:]}")

    def processes(self, title: str) -> list[psutil.Process]:
        """Its processes by a pattern of their command lines, the oldest first."""
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                if re.search(title, " ".join(process.cmdline())):
                    found.append(process)
            except psutil.Error:
                continue
        return sorted(found, key=lambda process: process.create_time())

    def memory_mb(self, title: str) -> float:
        """Their proportional set sizes together: what they share is divided among them."""
        total = 0
        for process in self.processes(title):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total / 1e6

    def plan(self, kind: Kind, per_s: float, seconds: float, **more: Any) -> Plan:
        """A load on it, with a file of its own."""
        file = self.folder / f"answers-{time.monotonic_ns()}.jsonl"
        return Plan(
            self.port, kind, per_s, seconds, str(file), users=self.users, items=self.items, **more
        )

    def ask(self, path: str, timeout_s: float = 5.0) -> tuple[int, dict[str, Any]]:
        """Status and document of a GET; 0 and nothing where it is not answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()

    def _write_data(self, folder: Path) -> None:
        write_slice(folder, NUM_RATINGS)


class Shop(Running):
    """A platform on a table of forty items; no other shop has the same ones."""

    users = tuple(f"u{number}" for number in range(20))

    def __init__(self, folder: Path, name: str) -> None:
        self.items = tuple(f"{name}-{number}" for number in range(40))
        super().__init__(folder, {})

    def _write_data(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        events = [
            f"{self.users[n % 20]},{self.items[n * 7 % 40]},{1_714_600_000 + 10 * n},{n % 3 % 2}"
            for n in range(NUM_RATINGS)
        ]
        (folder / "headrace.yaml").write_text(TABLE)
        (folder / "events.csv").write_text("\n".join(["u,i,t,c", *events]) + "\n")
        items = [f"{item_id},Thing {item_id}" for item_id in self.items]
        (folder / "items.csv").write_text("\n".join(["i,name", *items]) + "\n")
