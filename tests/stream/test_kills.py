"""`kill -9` under load: nothing is lost and nothing counts twice, on real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.services, pytest.mark.ray, pytest.mark.loop]

ROOT = Path(__file__).resolve().parents[2]
KAFKA_HOME = os.environ.get("KAFKA_HOME", "")
COUNTS = ("accepted", "duplicates", "rejected", "dead_letters", "samples", "outcomes", "drawn")
COUNTS += ("users", "items", "items_online", "items_left", "hidden")
EXACT = dict.fromkeys(COUNTS, 0)
MOVE_WITHIN_S = 30.0


def after_kills(*targets: str, kafka_home: str = "") -> dict[str, Any]:
    """What `benchmarks.kills` says; in a process of its own, because a broker that is killed
    leaves sockets behind in its clients."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "KAFKA_"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", *targets],
        cwd=ROOT,
        env={**plain, "KAFKA_HOME": kafka_home, "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def survived() -> dict[str, Any]:
    """One stream on a cluster of two nodes, to which all of it happens while items come and go,
    the node at last."""
    targets = ["worker", "redis", "worker", "full", "away"]
    if KAFKA_HOME:  # the embedded broker keeps nothing that a kill would leave
        targets.append("broker")
    return after_kills(*targets, "node", "--passing", kafka_home=KAFKA_HOME)


def test_killed_workers_redis_broker_and_a_lost_node_leave_every_count_exact(
    survived: dict[str, Any],
) -> None:
    """Merged rows of items that came meanwhile, too; of those that went nothing is left."""
    assert survived["events"] > 1_000 and survived["items_gone"] > 10
    assert {name: survived[name] for name in EXACT} == EXACT, survived


def test_a_redis_that_is_full_or_away_for_a_while_is_named_and_waited_for(
    survived: dict[str, Any],
) -> None:
    said = [line for line in survived["said"].splitlines() if line.endswith("it tries again")]
    assert any("maxmemory" in line for line in said), said
    assert any("Connection" in line or "no Redis answers" in line for line in said), said


def test_the_partitions_of_a_node_that_is_lost_move_to_the_others(
    survived: dict[str, Any],
) -> None:
    assert survived["recovery_s"][-1] < MOVE_WITHIN_S


def test_of_a_log_without_impressions_what_is_drawn_is_exact_too() -> None:
    result = after_kills("worker", "redis", "worker", "--no-impressions", kafka_home=KAFKA_HOME)
    assert result["events"] > 1_000
    assert {name: result[name] for name in EXACT} == EXACT, result
