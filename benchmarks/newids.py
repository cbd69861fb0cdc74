"""The memory cost of ids that nobody has seen: 300 posts of one impression with 1,000 of them.

The whole platform runs, as `headrace up` starts it. What counts is how much more the stream
workers, the replica, the trainer and Redis hold than before, right after the posts and five minutes
later. Ray's own processes are left out, and so is the embedded broker: it keeps the log in memory.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Final

import psutil

from headrace import config
from headrace.services.download import RECBOLE, fetch
from headrace.services.ports import free_port

NUM_POSTS, ITEMS_PER_POST, ID_LENGTH = 300, 1_000, 40
NUM_RATINGS, EVENTS_PER_S = 3_000, 150  # replayed first, so that every part is at work
START_S = 300.0
RIGHT_AFTER_S, LATER_S = 50, 300
LOOK_EVERY_S = 5.0
PARTS: Final = {
    "stream": re.compile("StreamWorker"),
    "replica": re.compile("ServeReplica"),
    "trainer": re.compile("RayTrainWorker"),
    "redis": re.compile("redis-server"),
    "broker": re.compile("tansu|kafka"),
}
NOT_COUNTED: Final = ("broker",)
INSIDE_WHEEL: Final = "recbole/dataset_example/ml-100k"


def run(later_s: float = LATER_S) -> dict[str, Any]:
    """Megabytes over all parts, and by part: before, the most right after, and later."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Path(folder))
        try:
            platform.wait_replayed()
            before = platform.memory_mb()
            took_s, statuses = flood(platform.port)
            most, ends_s = before, time.monotonic() + RIGHT_AFTER_S
            while time.monotonic() < ends_s:
                time.sleep(LOOK_EVERY_S)
                most = max(most, platform.memory_mb(), key=_total)
            time.sleep(later_s - RIGHT_AFTER_S)
            later = platform.memory_mb()
        finally:
            platform.close()
    return {
        "newids_mb": round(_total(most) - _total(before)),
        "newids_later_mb": round(_total(later) - _total(before)),
        "before": before,
        "after": most,
        "later": later,
        "posts_s": round(took_s, 1),
        "statuses": statuses,
    }


def flood(port: int) -> tuple[float, dict[int, int]]:
    """Post ids that nobody has seen; returns how long it took, and the answers by status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    began_s, statuses = time.monotonic(), dict[int, int]()
    for post in range(NUM_POSTS):
        ids = [f"{began_s:.0f}-{post}-{n}-".ljust(ID_LENGTH, "z") for n in range(ITEMS_PER_POST)]
        event = {
            "type": "impression",
            "user_id": f"new-{post}",
            "request_id": f"new-{post}",
            "items": [{"item_id": item_id, "clicked": False} for item_id in ids],
        }
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/events", json.dumps(event), headers)
        response = connection.getresponse()
        response.read()
        statuses[response.status] = statuses.get(response.status, 0) + 1
    connection.close()
    return time.monotonic() - began_s, statuses


class Platform:
    """`headrace up` on the first ratings of MovieLens-100K, with an archive."""

    def __init__(
        self, folder: Path, num_ratings: int = NUM_RATINGS, events_per_s: float = EVENTS_PER_S
    ) -> None:
        self.port, self._log_path = free_port(), folder / "up.log"
        self._num_ratings, data = num_ratings, folder / "data"
        write_slice(data, num_ratings)
        unset = ("RAY_ADDRESS", "HEADRACE_", "REDIS_URL", "KAFKA_")
        environ = {name: text for name, text in os.environ.items() if not name.startswith(unset)}
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "headrace.cli", "up", f"--data={data}"),
                    *(f"--speed={events_per_s}", f"--port={self.port}", "--requests-per-s=4"),
                    "--archive",
                ],
                env={**environ, "HEADRACE_HOME": str(folder / "home")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_replayed(self, at_least: int | None = None) -> None:
        """Until the ratings, or so many, were replayed; raises with the log when they are not."""
        deadline_s = time.monotonic() + START_S
        while self._num_replayed() < (at_least or self._num_ratings):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(f"headrace up did not replay:\n{self.log()[-3_000:]}")
            time.sleep(0.5)
        time.sleep(LOOK_EVERY_S)

    def settings(self) -> config.Settings:
        """Those of the parts, by the environment that they were started with."""
        for process in psutil.Process(self._process.pid).children(recursive=True):
            if "stream" in process.cmdline():
                return config.load(process.environ())
        raise AssertionError(f"no stream runs:\n{self.log()[-3_000:]}")

    def memory_mb(self) -> dict[str, float]:
        """The proportional set sizes of the parts: what they share is divided among them."""
        found = dict.fromkeys(PARTS, 0.0)
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                title = " ".join(process.cmdline())
                size_mb = process.memory_full_info().pss / 1e6
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            for part, pattern in PARTS.items():
                if pattern.search(title):
                    found[part] += size_mb
                    break
        return {part: round(size_mb, 1) for part, size_mb in found.items()}

    def close(self) -> None:
        """Ctrl-C, and wait for the end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(120)

    def _num_replayed(self) -> int:
        sent = re.findall(r"^(?:.*\| )?replay ([\d,]+) of ", self.log(), re.MULTILINE) or ["0"]
        return int(sent[-1].replace(",", ""))

    def log(self) -> str:
        """Its output so far."""
        return self._log_path.read_text(errors="replace")


def _total(memory_mb: dict[str, float]) -> float:
    return sum(size_mb for part, size_mb in memory_mb.items() if part not in NOT_COUNTED)


def write_slice(folder: Path, num_ratings: int) -> None:
    """The first ratings in time, with all films and users."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(fetch(RECBOLE)) as wheel:
        for name in ("ml-100k.item", "ml-100k.user"):
            (folder / name).write_bytes(wheel.read(f"{INSIDE_WHEEL}/{name}"))
        header, *rows = wheel.read(f"{INSIDE_WHEEL}/ml-100k.inter").decode().splitlines()
    rows.sort(key=lambda row: float(row.split("\t")[3]))
    (folder / "ml-100k.inter").write_text("\n".join([header, *rows[:num_ratings]]) + "\n")


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
