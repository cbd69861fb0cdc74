"""Slates while a part is killed or hangs: the share of good ones, and the length of outages."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
)
from benchmarks.outside import kafka_environ

SLATES_PER_S, EVENTS_PER_S = 25.0, 5.0
HANG_S, QUICK_HANG_S = 10.0, 5.0
AFTER_S, QUICK_AFTER_S = 20.0, 8.0  # requests count until so long after the end of a fault
SETTLED_S = 5.0  # of good slates, before the next fault
BACK_S = 60.0
GOOD = Deadline(1.0)  # as HEADRACE_SLATE_DEADLINE_S has it, from when a request was due


@dataclass(frozen=True)
class Fault:
    """A fault of some processes: killed or hung; `title` is a pattern of their command lines."""

    name: str
    title: str
    how: Literal["killed", "hung"]
    all_of: bool = False  # all such processes, or one

    @property
    def key(self) -> str:
        """Its name in the result, such as `redis_hung`."""
        return f"{self.name}_{self.how}"


@dataclass(frozen=True)
class Window:
    """The time of one fault, on the clock of the answers."""

    fault: Fault
    start_s: float
    count_until_s: float
    over_s: float  # when slates were good again, or given up
    said: list[str]  # by `headrace up`


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
    wanted: Sequence[Fault], environ: Mapping[str, str], quick: bool
) -> dict[str, dict[str, Any]]:
    """The figures of these faults, one after the other; a platform that ends is started anew."""
    found: dict[str, dict[str, Any]] = {"good_slates": {}, "outage_s": {}, "series": {}}
    given = {**environ, **({} if quick else kafka_environ())}
    left = list(wanted)
    while left:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            Running(Path(folder), given) as platform,
        ):
            platform.wait_serving()
            slates = Load(platform.plan("slates", SLATES_PER_S, FOR_EVER_S))
            events = Load(platform.plan("events", EVENTS_PER_S, FOR_EVER_S))
            windows = []
            with slates, events:
                while left and platform.is_running:
                    windows.append(_through(left.pop(0), platform, slates, quick))
                    _say(windows[-1], slates)
            for window in windows:
                figures = _figures(window, slates.answers(), events.answers())
                for name, value in figures.items():
                    found[name][window.fault.key] = value
    return found


def _say(window: Window, slates: Load) -> None:
    share = share_good(between(slates.answers(), window.start_s, window.count_until_s), GOOD)
    print(f"{window.fault.key}: {share:.4f} {window.said}", file=sys.stderr, flush=True)


def _through(fault: Fault, platform: Running, slates: Load, quick: bool) -> Window:
    """Wait for calm, do it, and wait until it is over and slates are good."""
    slates.wait(_is_calm, BACK_S)
    said = len(platform.said)
    start_s = time.monotonic()
    with _done(fault, platform, QUICK_HANG_S if quick else HANG_S):
        pass
    ends_s = time.monotonic() + (QUICK_AFTER_S if quick else AFTER_S)
    time.sleep(ends_s - time.monotonic())
    slates.wait(_is_calm, BACK_S)
    over_s = time.monotonic()
    time.sleep(GOOD.seconds)  # what was due till then is answered before the next fault
    return Window(fault, start_s, ends_s, over_s, platform.said[said:].splitlines())


@contextlib.contextmanager
def _done(fault: Fault, platform: Running, hang_s: float) -> Iterator[None]:
    """The fault, from its begin to its end."""
    found = platform.processes(fault.title)
    if not found:
        raise AssertionError(f"no process {fault.title!r} runs:\n{platform.said[-2_000:]}")
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


def _figures(window: Window, slates: Sequence[Answer], events: Sequence[Answer]) -> dict[str, Any]:
    counted = between(slates, window.start_s, window.count_until_s)
    followed = between(slates, window.start_s, window.over_s)
    posts = between(events, window.start_s, window.count_until_s)
    bad = [answer for answer in counted if not GOOD.met_by(answer)]
    raw = {
        "slates": len(counted),
        "bad": Counter(f"{one.status} {one.note}".strip() for one in bad),
        "slowest_s": round(max((one.took_s for one in counted), default=0.0), 3),
        "marks": Counter(one.note for one in counted if one.status == 200),
        "posts": Counter(str(one.status) for one in posts),
        "slowest_post_s": round(max((one.took_s for one in posts), default=0.0), 3),
        "said": window.said,
    }
    return {
        "good_slates": round(share_good(counted, GOOD), 4),
        "outage_s": round(outage_s(followed, GOOD), 2),
        "series": raw,
    }
