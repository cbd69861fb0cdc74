"""Events answered with 202 that are not in the log, over stalls and kills of the broker."""

from __future__ import annotations

import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.front.answers import Answer, lost
from benchmarks.front.generator import event_ids
from benchmarks.front.load import FOR_EVER_S, Load
from benchmarks.front.platform import Running
from benchmarks.outside import kafka_environ
from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics
from headrace.event import decode
from headrace.services.kafka import Broker, start_broker

STALLS_S, NUM_KILLS, EVENTS_PER_FAULT = (3, 8, 25), 20, 470
QUICK_STALLS_S, QUICK_KILLS, QUICK_EVENTS = (3,), 2, 200
POSTS_PER_S, EVENTS_PER_POST = 40.0, 5
BACK_S = 60.0  # a front that takes no event for longer after a fault has failed


class OwnBroker:
    """A broker beside the platform, which can stand still or be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._broker: Broker = start_broker(folder, {**os.environ, **kafka_environ()})
        self.bootstrap, self.keeps_its_log = self._broker.bootstrap, self._broker.keeps_its_log

    def stall(self, seconds: float) -> None:
        """It stands still, its connections open."""
        os.kill(self._pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        """`kill -9`; returns when it answers again."""
        os.kill(self._pid, signal.SIGKILL)
        self._broker = self._broker.started_again()

    def stop(self) -> None:
        """End it."""
        self._broker.stop()

    @property
    def _pid(self) -> int:
        assert self._broker.process.pid is not None
        return self._broker.process.pid


def run(quick: bool) -> dict[str, Any]:
    """`lost_202`, of `num_202`; for each fault the seconds from its end to the next 202."""
    stalls_s, num_kills, num_events = (
        (QUICK_STALLS_S, QUICK_KILLS, QUICK_EVENTS)
        if quick
        else (STALLS_S, NUM_KILLS, EVENTS_PER_FAULT)
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        broker = OwnBroker(folder / "kafka")
        stack.callback(broker.stop)
        environ = {"KAFKA_BOOTSTRAP": broker.bootstrap}
        platform = stack.enter_context(Running(folder / "platform", environ))
        platform.wait_serving()
        settings = platform.settings()
        plan = platform.plan("events", POSTS_PER_S, FOR_EVER_S, size=EVENTS_PER_POST)
        load = stack.enter_context(Load(plan))
        _more_taken(load, num_events, time.monotonic())
        back_s: dict[str, list[float | None]] = {"stall": [], "kill": []}
        for seconds in stalls_s:
            broker.stall(seconds)
            back_s["stall"].append(_more_taken(load, num_events, time.monotonic()))
        for _ in range(num_kills if broker.keeps_its_log else 0):
            broker.kill()
            back_s["kill"].append(_more_taken(load, num_events, time.monotonic()))
        answers = load.stop()
        found = compared(answers, plan.prefix, logged_ids(settings))
        said = platform.said
    return {**found, "series": {"lost": {"back_s": back_s, "said": said[-3_000:]}}}


def compared(answers: Sequence[Answer], prefix: str, logged: set[str]) -> dict[str, Any]:
    """The answers compared with the log: events taken, events lost, and posts by status."""
    taken = {
        one
        for answer in answers
        if answer.status == 202
        for one in event_ids(prefix, answer.number, EVENTS_PER_POST)
    }
    statuses: dict[str, int] = {}
    for answer in answers:
        statuses[str(answer.status)] = statuses.get(str(answer.status), 0) + 1
    return {
        "lost_202": len(lost(taken, logged)),
        "num_202": len(taken),
        "logged_without_202": len({one for one in logged if one.startswith(prefix)} - taken),
        "posts_by_status": statuses,
    }


def logged_ids(settings: config.Settings) -> set[str]:
    """The ids of all events in the log."""
    start = dict.fromkeys(range(settings.stream.num_partitions), 0)
    with closing(LogReader(settings, Topics(settings.namespace).events, start)) as reader:
        records = [record for batch in reader.read_to_end() for record in batch]
    return {decode(record.value, record.arrival_ms).event_id for record in records}


def _more_taken(load: Load, num_events: int, from_s: float) -> float | None:
    """Seconds until the first 202 after `from_s`, once so many events have one, else None."""

    def taken(answers: Sequence[Answer]) -> list[float]:
        return [one.done_s for one in answers if one.status == 202 and one.done_s > from_s]

    enough = num_events // EVENTS_PER_POST
    in_time = load.wait(lambda answers: len(taken(answers)) >= enough, BACK_S)
    back_s = round(min(taken(load.answers()), default=math.inf) - from_s, 2)
    print(f"202 again after {back_s} s", file=sys.stderr, flush=True)
    return back_s if in_time else None
