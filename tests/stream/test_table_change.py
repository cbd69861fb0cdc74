"""A change of the feature table: the stream goes on, and what both tables have stays exact.

A copy of the project with one feature more and one less takes over from the first one, on the same
Redis and broker; then the first one takes over again.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from run_worker import ITEMS, USERS
from stream_servers import shop

from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.clock import now_ms
from headrace.event import ImpressionEvent, Shown, encode
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
REMOVED = "user_since_click_log"  # nothing else reads its accumulator
ADDED = "user_likes_lately_log"
NEW_ROW = (
    f"  {ADDED}:\n    {{entity: user, aggregator: log_sum, measure: like, over: likes_lately,\n"
    "     description: likes of late}\n"
)
NEW_ACCUMULATOR = "  likes_lately: {kind: decayed, half_life: 1d, measures: [like]}\n"
KEPT = "user_impressions_log"
NUM_EACH = 150


class Project:
    """A copy of the project, whose commands run on one namespace."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        for room in ("platform", "feature_repo"):
            shutil.copytree(ROOT / room, folder / room)
        self.table = folder / "feature_repo" / "features.yaml"
        self._environ = {**environ, "PYTHONPATH": f"{folder / 'platform'}"}
        self._folder = folder

    def change_table(self) -> None:
        lines = self.table.read_text().splitlines(keepends=True)
        place = lines.index(f"  {REMOVED}:\n")
        lines[place : place + 2] = [NEW_ROW]  # the name, and a line of keys
        lines.insert(lines.index("accumulators:\n") + 1, NEW_ACCUMULATOR)
        self.table.write_text("".join(lines))

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self._folder,
            env=self._environ,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def process(self, num_events: int) -> dict[str, Any]:
        """Apply this build's views, and work until so many events are accepted in all."""
        names = (KEPT, ADDED, REMOVED)
        said = self.run(str(Path(__file__).with_name("run_worker.py")), str(num_events), *names)
        result: dict[str, Any] = json.loads(said.splitlines()[-1])
        return result


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(tmp_path / "redis") as redis, start_broker(tmp_path / "kafka", plain) as log:
        yield {
            **{name: text for name, text in plain.items() if not name.startswith("HEADRACE_")},
            "HEADRACE_HOME": str(tmp_path / "home"),
            "HEADRACE_NAMESPACE": "changing",
            "HEADRACE_NUM_PARTITIONS": "2",
            "REDIS_URL": redis.url,
            "KAFKA_BOOTSTRAP": log.bootstrap,
        }


def send(settings: config.Settings, first: int, users: list[str]) -> list[ImpressionEvent]:
    """NUM_EACH impressions whose outcome is known, of these users."""
    draw, writer = Random(first), LogWriter(settings)
    log = []
    for number in range(first, first + NUM_EACH):
        shown = Shown(draw.choice(ITEMS), 0, draw.random() < 0.4, liked=draw.random() < 0.5)
        event = ImpressionEvent(f"e{number}", now_ms(), draw.choice(users), f"r{number}", (shown,))
        writer.send(Topics(settings.namespace).events, encode(event), key=event.user_id.encode())
        log.append(event)
    writer.flush()
    writer.close()
    return log


def sums_of(log: list[ImpressionEvent]) -> dict[str, list[float]]:
    """Shown, clicked, liked and long views of users and items, counted event by event."""
    counts: Counter[tuple[str, int]] = Counter()
    for event in log:
        (shown,) = event.items
        for id_ in (event.user_id, shown.item_id):
            counts[id_, 0] += 1
            counts[id_, 1] += bool(shown.clicked)
            counts[id_, 2] += bool(shown.liked)
    return {id_: [float(counts[id_, place]) for place in range(4)] for id_, _ in counts}


def test_counts_stay_exact_while_a_feature_comes_and_another_goes(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before, after = Project(tmp_path / "a", environ), Project(tmp_path / "b", environ)
    after.change_table()
    settings = config.load(environ)
    create_topics(settings)
    write_catalogue(shop(), config.catalogue_path(settings), now_ms())

    log = send(settings, 0, USERS)
    first = before.process(NUM_EACH)
    assert first["sums"] == sums_of(log)
    assert REMOVED in first["values"] and ADDED not in first["values"]

    later = send(settings, NUM_EACH, USERS[:10])
    second = after.process(2 * NUM_EACH)
    assert second["sums"] == sums_of(log + later)
    assert REMOVED not in second["values"]
    liked = {id_: sums[2] for id_, sums in sums_of(later).items()}
    for user in USERS:
        value = second["values"][ADDED][user]
        assert value == pytest.approx(math.log1p(liked.get(user, 0)), abs=1e-3), "only new likes"
    of_feast = dict(zip(second["feast"]["user_id"], second["feast"][ADDED], strict=True))
    assert {user for user, value in of_feast.items() if value is None} == {*USERS[10:]}
    assert None not in second["feast"][KEPT], "what was kept is there without a new event"

    again = send(settings, 2 * NUM_EACH, USERS[5:])
    third = before.process(3 * NUM_EACH)
    assert third["sums"] == sums_of(log + later + again), "a roll-back is a change like any other"
