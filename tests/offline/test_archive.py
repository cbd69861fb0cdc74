"""The archive as a part: real topics, a real process, and `kill -9`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import config
from headrace.broker.topics import LogIdentity, Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.errors import LogMismatch, ServiceError
from headrace.event import ClickEvent, encode
from headrace.offline.folder import EVENTS, LogFolder, bind_offline, log_folder
from headrace.offline.tables import records_of
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

NUM_EVENTS = 3_000
NUM_KILLS = 2
TIMEOUT_S = 60.0
FIRST_MS = 1_714_521_600_000  # 2024-05-01
STEP_MS = 100_000  # so that the events are of several dates


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a process that meets a Redis and a broker of its own."""
    folder = tmp_path_factory.mktemp("archive")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "KAFKA_"))}
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", plain) as broker:
        yield {
            **plain,
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NAMESPACE": "archived",
            "HEADRACE_ARCHIVE_EVERY_S": "0.2",
            "REDIS_URL": redis.url,
            "KAFKA_BOOTSTRAP": broker.bootstrap,
        }


def archived_offsets(folder: LogFolder) -> dict[int, list[int]]:
    return {
        partition: [
            record.offset
            for table in folder.tables(partition)
            for record in records_of(table, partition)
        ]
        for partition in folder.partitions()
    }


def num_archived(folder: LogFolder) -> int:
    return sum(span.end - span.first for span in folder.spans())


def start(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "headrace.cli", "archive"], env=environ)


def test_each_event_is_archived_once_though_the_archive_is_killed(environ: dict[str, str]) -> None:
    settings = config.load(environ)
    create_topics(settings)
    folder, writer = log_folder(settings, EVENTS), LogWriter(settings)
    archive, killed = start(environ), 0
    deadline = time.monotonic() + TIMEOUT_S
    try:
        for number in range(NUM_EVENTS):
            event = ClickEvent(f"e{number}", FIRST_MS + number * STEP_MS, f"u{number % 50}", "mug")
            writer.send(Topics("archived").events, encode(event), key=event.user_id.encode())
        writer.flush()
        while num_archived(folder) < NUM_EVENTS:
            assert time.monotonic() < deadline, f"{num_archived(folder)} events archived"
            if killed < NUM_KILLS and num_archived(folder) > 0:
                archive.kill()
                archive.wait()
                archive, killed = start(environ), killed + 1
            time.sleep(0.05)
        archive.send_signal(signal.SIGTERM)
        assert archive.wait(timeout=30) == 0
    finally:
        archive.kill()
        writer.close()
    offsets = archived_offsets(folder)
    assert sum(map(len, offsets.values())) == NUM_EVENTS
    assert all(found == list(range(len(found))) for found in offsets.values())
    assert len({path.parent.name for span in folder.spans() for path in span.paths}) > 1


def test_the_folder_of_another_log_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    settings = config.load({**environ, "HEADRACE_HOME": str(tmp_path)})
    for identity in (LogIdentity("one"), LogIdentity("one", {"a": "1"}), LogIdentity("one")):
        bind_offline(settings, identity)
    for other in (LogIdentity("two"), LogIdentity("one", {"a": "2"})):
        with pytest.raises(LogMismatch, match=f"belong to event log one a:1, .*{other}"):
            bind_offline(settings, other)
    elsewhere = config.changed(settings, namespace="elsewhere")
    with pytest.raises(ServiceError, match="'archived', this one is 'elsewhere': choose another"):
        bind_offline(elsewhere, LogIdentity("one"))
