"""The memory growth of replicas and HAProxy after fuzzed, huge, half-sent and cut requests."""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import socket
import tempfile
import threading
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from benchmarks.front.load import Load
from benchmarks.front.platform import FRONT, Running
from benchmarks.front.requests import fuzzed, half, huge, in_order

NUMBERS = {"fuzzed": 8_500, "huge": 300, "half": 800, "cut": 400}
QUICK_NUMBERS = {kind: number // 20 for kind, number in NUMBERS.items()}
THREADS = 4
HELD = 25  # half-sent requests that each thread leaves open at one time
TIMEOUT_S = 20.0
WARM_S, CALM_S, QUICK_CALM_S = 10.0, 30.0, 5.0
LOOK_S = 0.5


def run(quick: bool) -> dict[str, Any]:
    """`rss_growth_mb`: proportional set sizes, half a minute after the last one less before."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Running(Path(folder), {}) as platform,
    ):
        platform.wait_serving()
        with Load(platform.plan("slates", 20, WARM_S)) as load:
            load.finish()
        _send(platform.port, QUICK_NUMBERS, seed=1)  # so that what is loaded lazily is there
        time.sleep(CALM_S if not quick else QUICK_CALM_S)
        before_mb = platform.memory_mb(FRONT)
        with Peak(platform) as peak:
            began_s = time.monotonic()
            answers = _send(platform.port, QUICK_NUMBERS if quick else NUMBERS, seed=2)
            took_s = time.monotonic() - began_s
        time.sleep(QUICK_CALM_S if quick else CALM_S)
        after_mb = platform.memory_mb(FRONT)
        with Load(platform.plan("slates", 20, 3)) as load:
            still = Counter(str(one.status) for one in load.finish())
    return {
        "rss_growth_mb": round(after_mb - before_mb, 1),
        "rss_peak_growth_mb": round(peak.mb - before_mb, 1),
        "series": {
            "memory": {
                "before_mb": round(before_mb, 1),
                "after_mb": round(after_mb, 1),
                "took_s": round(took_s, 1),
                "answers": dict(sorted(answers.items())),
                "slates_after": still,
            }
        },
    }


class Peak:
    """A context manager: the most that the front held while its block ran."""

    def __init__(self, platform: Running) -> None:
        self.mb, self._platform, self._over = 0.0, platform, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            self.mb = max(self.mb, self._platform.memory_mb(FRONT))


class Client:
    """Sends requests of each kind to a port and counts the answers by kind and status."""

    def __init__(self, port: int, seed: int) -> None:
        self.answers: Counter[str] = Counter()
        self._port, self._draw = port, random.Random(seed)
        self._held: deque[socket.socket] = deque()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)

    def send(self, kind: str) -> None:
        """One request of this kind."""
        status = {"fuzzed": self._fuzzed, "huge": self._huge, "half": self._half}.get(
            kind, self._cut
        )()
        self.answers[f"{kind} {status}"] += 1

    def close(self) -> None:
        """Wait for what the server says to the half-sent ones, and end all."""
        while self._held:
            self._let_go()
        self._connection.close()

    def _fuzzed(self) -> str:
        path, body = fuzzed(self._draw)
        try:
            headers = {"Content-Type": "application/json"}
            self._connection.request("POST", path, body, headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return type(error).__name__
        return str(response.status)

    def _huge(self) -> str:
        _, parts = huge(self._draw)
        with socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S) as client:
            with contextlib.suppress(OSError):  # refused before all of it was sent
                for part in parts:
                    client.sendall(part)
            return _status(client)

    def _half(self) -> str:
        client = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
        client.sendall(half(self._draw))
        self._held.append(client)
        if len(self._held) > HELD:
            self._let_go()
        return "sent"

    def _cut(self) -> str:
        with socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S) as client:
            client.sendall(half(self._draw))
        return "sent"

    def _let_go(self) -> None:
        with self._held.popleft() as client:
            self.answers[f"half, then {_status(client)}"] += 1


def _status(client: socket.socket) -> str:
    try:
        found = re.match(rb"HTTP/1\.[01] (\d+)", client.recv(4_096))
    except OSError as error:
        return type(error).__name__
    return found[1].decode() if found else "closed"


def _send(port: int, numbers: dict[str, int], seed: int) -> Counter[str]:
    """Send so many of each kind, in threads; the answers by kind and status."""
    kinds = list(in_order(random.Random(seed), numbers))
    clients = [Client(port, seed * 100 + number) for number in range(THREADS)]

    def work(number: int) -> None:
        for kind in kinds[number::THREADS]:
            try:
                clients[number].send(kind)
            except OSError as error:
                clients[number].answers[f"{kind} {type(error).__name__}"] += 1
        clients[number].close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum((client.answers for client in clients), Counter())
