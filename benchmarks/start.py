"""The start of `headrace up`, over the import of what it runs on in the same minute.

Both are programs in a process of their own, with byte-code, and alternate. The keys:

    import_s        python -c 'import ray.serve, torch', the mean of before and after each start
    first_slate_s   from the command to the first slate that is answered over HTTP
    start_s         from the command to the start of the replay: every part does its work
    first_slate_over_import, start_over_import   the ratios, pair by pair
    load            what else ran: the load average of the machine before each pair
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.pairs import interval, seconds
from headrace.api.client import Client
from headrace.api.slate import RecommendRequest
from headrace.errors import HeadraceError, ServiceError
from headrace.services.ports import LOOPBACK, free_port

NUM_PAIRS: Final = 5
WAIT_S: Final = 300.0
LOOK_EVERY_S: Final = 0.05
STARTED: Final = re.compile(r"replaying [\d,]+ events")
OURS: Final = ("HEADRACE_", "REDIS_URL", "KAFKA_", "RAY_", "PYTHONDONTWRITEBYTECODE")
NAMES: Final = ("first_slate_s", "start_s", "import_s")

Environ = Mapping[str, str]


def run() -> dict[str, Any]:
    """The medians, their intervals and the series."""
    environ = bare_environ()
    series: dict[str, list[float]] = {name: [] for name in NAMES}
    loads = []
    imported_s(environ), started_s(environ)  # the first time makes byte-code
    for _ in range(NUM_PAIRS):
        loads.append(os.getloadavg()[0])
        before_s = imported_s(environ)
        pair_s = (*started_s(environ), (before_s + imported_s(environ)) / 2)
        for name, one_s in zip(NAMES, pair_s, strict=True):
            series[name].append(one_s)
        print(*(f"{one_s:.2f} s" for one_s in pair_s), file=sys.stderr, flush=True)
    for name in ("first_slate", "start"):
        pairs = zip(series[f"{name}_s"], series["import_s"], strict=True)
        series[f"{name}_over_import"] = [ours_s / other_s for ours_s, other_s in pairs]
    figures = {
        name: {"median": statistics.median(values), "interval_95": interval(values), "all": values}
        for name, values in series.items()
    }
    return {**figures, "load": loads}


def bare_environ() -> Environ:
    """This process's, without settings of headrace's."""
    return {name: text for name, text in os.environ.items() if not name.startswith(OURS)}


def imported_s(environ: Environ) -> float:
    """The seconds of the import."""
    words = [sys.executable, "-c", "import ray.serve, torch"]
    return seconds(lambda: subprocess.run(words, env=environ, check=True))


def started_s(environ: Environ, flags: Sequence[str] = ()) -> tuple[float, float]:
    """The seconds of one start: until the first slate, and until every part does its work."""
    port = free_port()
    words = ["-m", "headrace.cli", "up", f"--port={port}", "--requests-per-s=0"]
    began_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *words, *flags], env=environ, stdout=subprocess.PIPE, text=True
    )
    slate = FirstSlate(port)
    slate.start()
    try:
        assert process.stdout is not None, "it is a pipe"
        if not any(STARTED.search(line) for line in process.stdout):
            raise ServiceError(f"headrace up ended with {process.wait()} before it had started")
        ready_s = time.monotonic() - began_s
        slate.join(WAIT_S)
        if not slate.at_s:
            raise ServiceError(f"headrace up answered no slate within {WAIT_S:g} s")
    finally:
        slate.is_wanted = False
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S)
    return slate.at_s - began_s, ready_s


class FirstSlate(threading.Thread):
    """Asks for a slate until one is answered; `at_s` is when it was."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._client = Client(f"http://{LOOPBACK}:{port}", timeout_s=1.0)
        self.is_wanted, self.at_s = True, 0.0

    def run(self) -> None:
        while self.is_wanted and not self.at_s:
            try:
                self._client.recommend(RecommendRequest(user_id="196", record=False))
                self.at_s = time.monotonic()
            except HeadraceError:  # nobody listens yet, or HAProxy has no replica
                time.sleep(LOOK_EVERY_S)
