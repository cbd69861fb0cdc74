"""A topic that is deleted and made anew, and what a command says to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from kafka import KafkaAdminClient
from redis import Redis

from headrace import config
from headrace.broker.topics import create_topics
from headrace.errors import LogMismatch
from headrace.monitoring.documents import DOCUMENT_OF
from headrace.monitoring.status import StatusBoard

PATIENCE_S = 30.0
COMMAND_S = 90.0


def within_patience(done: Callable[[], bool], seconds: float = PATIENCE_S) -> Callable[[], bool]:
    """The same question, which fails when it is asked for too long."""
    deadline = time.monotonic() + seconds

    def check() -> bool:
        assert time.monotonic() < deadline
        return done()

    return check


def wait(done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    check = within_patience(done, seconds)
    while not check():
        time.sleep(0.1)


def make_anew(admin: KafkaAdminClient, settings: config.Settings, *topics: str) -> None:
    """Delete those of these topics that exist, and make all of the namespace; again, where the
    embedded broker, which makes what a reader asks for, was first with partitions of its own."""

    def is_made() -> bool:
        before = _ids(admin, topics)
        admin.delete_topics(list(before)) if before else None
        wait(lambda: all(_ids(admin, topics).get(name) != id_ for name, id_ in before.items()))
        try:
            create_topics(settings)
        except LogMismatch:
            return False
        return True

    wait(is_made)


def _ids(admin: KafkaAdminClient, topics: Sequence[str]) -> dict[str, object]:
    found = admin.describe_topics(list(topics))
    return {topic["name"]: topic["topic_id"] for topic in found if topic["error_code"] == 0}


def last_words(
    settings: config.Settings, part: str, change: Callable[[], None]
) -> tuple[int, list[str]]:
    """The exit code of `headrace stream` or `train` after the change, and what it said then."""
    environ = {name: text for name, text in os.environ.items() if name != "RAY_ADDRESS"}
    command = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli", part],
        env={**environ, **config.environment(settings)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with command as process, Redis.from_url(settings.redis_url) as redis:
        try:
            board = StatusBoard(redis, settings.namespace)
            wait(
                lambda: process.poll() is not None or bool(board.read(DOCUMENT_OF[part])), COMMAND_S
            )
            if process.poll() is None:
                change()
            _, said = process.communicate(timeout=COMMAND_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    lines = [line for line in said.splitlines() if line.startswith(f"headrace {part}: ")]
    return process.returncode, lines
