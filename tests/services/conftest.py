"""Real servers for the tests: where Apache Kafka lies, and a parent process that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.outside import NO_KAFKA, kafka_environ

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def apache_environ() -> dict[str, str]:
    """This process's environment with KAFKA_HOME; skips where there is no Apache Kafka."""
    if not kafka_environ():
        pytest.skip(NO_KAFKA)
    return dict(os.environ)


@pytest.fixture(scope="session")
def tansu_environ() -> dict[str, str]:
    """This process's environment without KAFKA_HOME."""
    return {name: value for name, value in os.environ.items() if name != "KAFKA_HOME"}


@pytest.fixture
def abandon() -> Callable[[str, dict[str, str]], int]:
    """Runs Python that starts a server as `process`, kills it -9, gives the server's pid."""

    def run(code: str, environ: dict[str, str]) -> int:
        script = f"{code}\nprint(process.pid, flush=True)\nimport sys; sys.stdin.read()"
        parent = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**environ, "PYTHONPATH": str(ROOT / "platform")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert not is_gone(pid)
            parent.kill()
        return pid

    return run


@pytest.fixture
def wait_gone() -> Callable[[int], bool]:
    """Whether a process that is not our child has ended, within ten seconds."""

    def wait(pid: int) -> bool:
        deadline = time.monotonic() + 10
        while not is_gone(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        return is_gone(pid)

    return wait


def is_gone(pid: int) -> bool:
    """Whether a process has ended, also where nobody has collected its exit code yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
