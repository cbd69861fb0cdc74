"""Servers in processes of their own: `headrace serve` on a shop, and those it is compared with."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from benchmarks.front.generator import Kind, Plan
from benchmarks.front.platform import ROOT
from benchmarks.serving.client import Connection, one_by_one, slates
from benchmarks.serving.shop import Shop
from headrace import config
from headrace.services.haproxy import short_folder
from headrace.services.ports import LOOPBACK, free_port

START_S: Final = 180.0
WARM: Final = 100  # requests: the first are the slowest
RANKED: Final = 500


class Served:
    """A server on a port that answers requests for slates of a shop, or as if it did."""

    def __init__(self, made: Shop, port: int) -> None:
        self.shop, self.port = made, port

    @property
    def requests(self) -> list[bytes]:
        """A request of each user."""
        return slates(self.shop.users)

    def plan(self, kind: Kind, per_s: float, seconds: float, **more: Any) -> Plan:
        """An open-loop load on it, with a file of its own."""
        file = str(self.shop.folder / f"answers-{time.monotonic_ns()}.jsonl")
        users, items = self.shop.users, self.shop.items
        return Plan(self.port, kind, per_s, seconds, file, users=users, items=items, **more)

    def warm(self) -> None:
        """Ask until the first, slow, requests are over."""
        connection = Connection(self.port)
        one_by_one(connection, self.requests[:WARM])
        connection.close()


@contextmanager
def headrace_serve(made: Shop) -> Iterator[Served]:
    """`headrace serve`: one replica behind HAProxy, which ranks all that it may."""
    with short_folder() as ray_folder:
        command = [sys.executable, "-m", "headrace.cli", "serve"]
        port = made.settings.http.port
        with _running(made, command, "/readyz", port, {"RAY_TMPDIR": ray_folder}):
            served = Served(made, port)
            _wait_for_all(served)
            served.warm()
            yield served


@contextmanager
def hello_world(made: Shop) -> Iterator[Served]:
    """A `uvicorn` and `starlette` hello-world."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serving.floor", str(port)]
    with _running(made, command, "/", port, {}):
        served = Served(made, port)
        served.warm()
        yield served


@contextmanager
def tutorial(made: Shop) -> Iterator[Served]:
    """The same request as Ray Serve's tutorial composes it."""
    with short_folder() as ray_folder:
        port = free_port()
        command = [sys.executable, "-m", "tests.serving.tutorial", str(port)]
        with _running(made, command, "/", port, {"RAY_TMPDIR": ray_folder}):
            served = Served(made, port)
            served.warm()
            yield served


def _wait_for_all(served: Served) -> None:
    """Until slates have a model and are of as many candidates as there may be."""
    ends_s = time.monotonic() + START_S
    while time.monotonic() < ends_s:
        connection = Connection(served.port)
        one_by_one(connection, served.requests[:1])
        answer = msgspec.json.decode(connection.received.partition(b"\r\n\r\n")[2])
        connection.close()
        if answer["model_version"] and not answer["degraded"]:
            return
        time.sleep(0.5)
    raise AssertionError(f"slates are {answer['degraded']}")


@contextmanager
def _running(
    made: Shop, command: Sequence[str], path: str, port: int, more: Mapping[str, str]
) -> Iterator[None]:
    """The command with the settings of a shop, from its first answer on to the block's end."""
    unset = ("RAY_ADDRESS", "HEADRACE_")
    plain = {name: text for name, text in os.environ.items() if not name.startswith(unset)}
    environ = {**plain, **config.environment(made.settings), "OMP_NUM_THREADS": "1", **more}
    environ["PYTHONPATH"] = f"{ROOT / 'platform'}:{ROOT}"
    said = made.folder / "server.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            command, env=environ, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    started: list[psutil.Process] = []
    try:
        _wait_for_answer(process, port, path, said)
        started = psutil.Process(process.pid).children(recursive=True)
        yield
    finally:
        _end(process, started)


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, path: str, said: Path) -> None:
    ends_s = time.monotonic() + START_S
    while time.monotonic() < ends_s and process.poll() is None:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise AssertionError(f"no server answers:\n{said.read_text(errors='replace')[-3_000:]}")


def _end(process: subprocess.Popen[bytes], started: Sequence[psutil.Process]) -> None:
    """Ask it to end, then see to it that all of it does."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
    for one in started:
        try:
            one.kill()
        except psutil.Error:
            continue
