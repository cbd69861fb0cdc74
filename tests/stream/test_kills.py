"""`kill -9` under load: nothing is lost and nothing counts twice, on real servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kills import kill_each
from benchmarks.stream_load import StreamUnderLoad
from headrace import config

pytestmark = [pytest.mark.services, pytest.mark.ray, pytest.mark.loop]

KAFKA = Path(__file__).resolve().parents[3] / "shared" / "kafka"
EXACT = {"accepted": 0, "duplicates": 0, "samples": 0, "users": 0, "items": 0}
MOVE_WITHIN_S = 30.0


def test_killed_workers_redis_and_broker_leave_every_count_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets = ["worker", "redis", "worker"]
    home = os.environ.get("KAFKA_HOME") or (str(KAFKA) if KAFKA.is_dir() else "")
    monkeypatch.setenv("KAFKA_HOME", home)
    if home:  # the embedded broker keeps nothing that a kill would leave
        targets.append("broker")
    result = kill_each(targets, events_per_s=300)
    assert result["events"] > 1_000
    assert {name: result[name] for name in EXACT} == EXACT, result


class TwoNodes:
    """A Ray cluster of two nodes, of which one can be lost."""

    def __init__(self) -> None:
        self.environ = config.local_ray()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("two_nodes.py"))],
            env={**os.environ, **self.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.environ["RAY_ADDRESS"] = self._read_line()

    def lose_one(self) -> None:
        assert self._process.stdin is not None
        print("remove", file=self._process.stdin, flush=True)
        assert self._read_line() == "removed"

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith(("127.", "removed")):
                return line.strip()
        raise AssertionError("the cluster has ended")


@pytest.fixture
def nodes() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    yield nodes
    nodes.close()


def test_the_partitions_of_a_node_that_is_lost_move_to_the_others(
    nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    with StreamUnderLoad(tmp_path, nodes.environ) as stream:
        stream.start(events_per_s=300)
        stream.wait_progress()
        assert len(stream.workers()) == 2
        nodes.lose_one()
        removed_s = time.monotonic()
        stream.wait_progress()
        moved_s = time.monotonic() - removed_s
        stream.finish()
        result = stream.differences()
    assert {name: result[name] for name in EXACT} == EXACT, result
    assert moved_s < MOVE_WITHIN_S
