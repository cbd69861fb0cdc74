"""Slates while a part is killed or hangs: the share of good ones, and the length of outages."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from benchmarks.front.answers import Answer, Deadline, between, outage_s, share_good
from benchmarks.front.load import FOR_EVER_S, Load
from benchmarks.front.platform import (
    BROKER,
    HAPROXY,
    REDIS,
    REPLICA,
    STREAM,
    TRAINER,
    Running,
    kafka_environ,
)

SLATES_PER_S, EVENTS_PER_S = 25.0, 5.0
HANG_S, QUICK_HANG_S = 10.0, 5.0
AFTER_S, QUICK_AFTER_S = 20.0, 8.0  # requests count until so long after the end of a fault
SETTLED_S = 5.0  # of good slates, before the next fault
BACK_S = 60.0
GOOD = Deadline(1.0)  # as HEADRACE_SLATE_DEADLINE_S has it, from when a request was due


@dataclass(frozen=True)
class Fault:
    """What is done to whom; `title` is a pattern of command lines."""

    name: str
    title: str
    how: Literal["killed", "hung"]
    all_of: bool = False  # all such processes, or one

    @property
    def key(self) -> str:
        """Its name in the result, such as `redis_hung`."""
        return f"{self.name}_{self.how}"


@dataclass
class Window:
    """The time of one fault, and what was seen in it."""

    fault: Fault
    start_s: float
    count_until_s: float
    over_s: float = 0.0  # when slates were good again, or given up
    restarts: list[str] = field(default_factory=list)  # what `headrace up` said


def faults(name: str, title: str, all_of: bool = False) -> list[Fault]:
    """A kill and a hang of it."""
    return [Fault(name, title, "killed", all_of), Fault(name, title, "hung", all_of)]


def run(quick: bool) -> dict[str, Any]:
    """`good_slates` and `outage_s` by fault, on one replica and on two."""
    one = [
        *faults("redis", REDIS),
        *(faults("broker", BROKER) if kafka_environ() else faults("broker", BROKER)[1:]),
        *faults("trainer", TRAINER),
        *faults("stream", STREAM),
        *faults("haproxy", HAPROXY, all_of=True),
        *faults("only_replica", REPLICA),
    ]
    if quick:
        one = [fault for fault in one if fault.key in ("redis_hung", "only_replica_killed")]
    found = _on_platform(one, {"HEADRACE_NUM_REPLICAS": "1"}, quick)
    if not quick:
        two = _on_platform(
            faults("one_of_two_replicas", REPLICA), {"HEADRACE_NUM_REPLICAS": "2"}, quick
        )
        found = {name: {**found[name], **two[name]} for name in found}
    return {
        "good_slates": found["good_slates"],
        "outage_s": found["outage_s"],
        "series": {"faults": found["series"]},
    }


def _on_platform(
    list_of: Sequence[Fault], environ: Mapping[str, str], quick: bool
) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        given = {**environ, **({} if quick else kafka_environ())}
        with Running(Path(folder), given) as platform:
            platform.wait_serving()
            slates = Load(platform.plan("slates", SLATES_PER_S, FOR_EVER_S))
            events = Load(platform.plan("events", EVENTS_PER_S, FOR_EVER_S))
            with slates, events:
                windows = [_through(fault, platform, slates, quick) for fault in list_of]
            return _figures(windows, slates.answers(), events.answers())


def _through(fault: Fault, platform: Running, slates: Load, quick: bool) -> Window:
    """Wait for calm, do it, and wait until it is over and slates are good."""
    slates.wait(_is_calm, BACK_S)
    said = len(platform.said)
    start_s = time.monotonic()
    with _done(fault, platform, QUICK_HANG_S if quick else HANG_S):
        pass
    ends_s = time.monotonic() + (QUICK_AFTER_S if quick else AFTER_S)
    window = Window(fault, start_s, ends_s)
    time.sleep(ends_s - time.monotonic())
    slates.wait(_is_calm, BACK_S)
    window.over_s = time.monotonic()
    window.restarts = [line for line in platform.said[said:].splitlines() if "again" in line]
    return window


@contextlib.contextmanager
def _done(fault: Fault, platform: Running, hang_s: float) -> Iterator[None]:
    """The fault, from its begin to its end."""
    found = platform.processes(fault.title)
    assert found, f"no process {fault.title!r} runs:\n{platform.said[-2_000:]}"
    hit = found if fault.all_of else found[:1]
    with contextlib.ExitStack() as stack:
        for process in hit:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if fault.how == "killed":
                    os.kill(process.pid, signal.SIGKILL)
                else:
                    os.kill(process.pid, signal.SIGSTOP)
                    stack.callback(_go_on, process)
        time.sleep(hang_s if fault.how == "hung" else 0)
        yield


def _go_on(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it was replaced meanwhile
        process.send_signal(signal.SIGCONT)


def _is_calm(answers: Sequence[Answer]) -> bool:
    now_s = time.monotonic()
    recent = between(answers, now_s - SETTLED_S - GOOD.seconds, now_s - GOOD.seconds)
    return len(recent) > SLATES_PER_S and share_good(recent, GOOD) == 1


def _figures(
    windows: Sequence[Window], slates: Sequence[Answer], events: Sequence[Answer]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"good_slates": {}, "outage_s": {}, "series": {}}
    for window in windows:
        key = window.fault.key
        counted = between(slates, window.start_s, window.count_until_s)
        followed = between(slates, window.start_s, window.over_s)
        posts = between(events, window.start_s, window.count_until_s)
        found["good_slates"][key] = round(share_good(counted, GOOD), 4)
        found["outage_s"][key] = round(outage_s(followed, GOOD), 2)
        bad = [answer for answer in counted if not GOOD.met_by(answer)]
        found["series"][key] = {
            "slates": len(counted),
            "bad": Counter(f"{one.status} {one.note}".strip() for one in bad),
            "slowest_s": round(max((one.took_s for one in counted), default=0.0), 3),
            "marks": Counter(one.note for one in counted if one.status == 200),
            "posts": Counter(str(one.status) for one in posts),
            "slowest_post_s": round(max((one.took_s for one in posts), default=0.0), 3),
            "said": window.restarts,
        }
    return found
