"""Overload at twice a platform's peak: goodput, the waits of who is answered, and the way back.

Load and server share the machine's cores: what the load takes is missing in the peak, and at twice
the peak in the goodput.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.front.answers import Answer, Deadline, between, quantile, recovery_s, share_good
from benchmarks.front.generator import Kind, Plan
from benchmarks.front.load import Load
from benchmarks.front.platform import Running

CLIENTS = 4  # of the closed loop that tells about where the peak is: fewer than the places
FIRST, GROWTH, MAX_STEPS = 0.9, 1.15, 8  # steps from below that to where some are refused
KEPT_UP = 0.95
STEP_S, RUN_S, AFTER_S = 8.0, 20.0, 15.0
QUICK_STEPS, QUICK_S = 3, 5.0
PAUSE_S = 2.0
GOOD = Deadline(1.0)


class Loaded(Protocol):
    """A platform that loads are planned for."""

    def plan(self, kind: Kind, per_s: float, seconds: float, **more: Any) -> Plan:
        """A load on it, with a file of its own."""
        ...


def run(quick: bool) -> dict[str, Any]:
    """The figures of a platform of its own."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Running(Path(folder), {}) as platform,
    ):
        platform.wait_serving()
        return measured(platform, quick)


def measured(platform: Loaded, quick: bool) -> dict[str, Any]:
    """Goodput at 2 x the peak over the peak, p99 over p50 and p99 at 70 % of it, and recovery."""
    step_s, run_s = (QUICK_S, QUICK_S) if quick else (STEP_S, RUN_S)
    _closed(platform, step_s)  # the first requests are the slowest
    about = _closed(platform, step_s)
    steps = _steps(platform, FIRST * about, step_s, QUICK_STEPS if quick else MAX_STEPS)
    peak = max(steps.values())
    usual = _open(platform, 0.7 * peak, run_s)
    over = platform.plan("unrecorded", 2 * peak, run_s, seed=1)
    after_s = QUICK_S if quick else AFTER_S
    overloaded, after, ended_s = _then(platform, over, 0.7 * peak, after_s)
    figures = compared(usual, overloaded, peak, run_s)
    back_s = recovery_s(after, ended_s, _quantile(usual, 0.5), GOOD)
    raw = {
        "closed_loop_per_s": round(about, 1),
        "goodput_by_rate": {f"{rate:.1f}": round(value, 1) for rate, value in steps.items()},
        "peak_per_s": round(peak, 1),
        "good_at_70": round(share_good(usual, GOOD), 4),
        "statuses_at_2x": Counter(f"{one.status} {one.note[:40]}".strip() for one in overloaded),
        "p50_by_second_after_ms": by_second(after, ended_s),
    }
    return {**figures, "recovery_s": back_s, "series": {"overload": raw}}


def compared(
    usual: Sequence[Answer], overloaded: Sequence[Answer], peak: float, seconds: float
) -> dict[str, float]:
    """The figures of the overload against those at 70 % of the peak and the peak itself."""
    p99_s = _quantile(overloaded, 0.99)
    refused_s = quantile((one.took_s for one in overloaded if one.status == 503), 0.99)
    return {
        "goodput_at_2x": round(_goodput(overloaded, seconds) / peak, 3),
        "p99_over_p50_at_70": round(p99_s / _quantile(usual, 0.5), 2),
        "p99_over_p99_at_70": round(p99_s / _quantile(usual, 0.99), 2),
        "p50_at_70_ms": round(_quantile(usual, 0.5) * 1_000, 1),
        "p99_at_70_ms": round(_quantile(usual, 0.99) * 1_000, 1),
        "p99_at_2x_ms": round(p99_s * 1_000, 1),
        "p99_of_refused_ms": round(refused_s * 1_000, 1),
    }


def by_second(answers: Sequence[Answer], from_s: float) -> list[float]:
    """The p50 of each second from `from_s` on, in milliseconds."""
    found: dict[int, list[float]] = {}
    for answer in answers:
        found.setdefault(int(answer.due_s - from_s), []).append(answer.took_s)
    return [round(quantile(found[one], 0.5) * 1_000, 1) for one in sorted(found) if one >= 0]


def _closed(platform: Loaded, seconds: float) -> float:
    """Good slates a second of clients who ask again as soon as they are answered."""
    with Load(platform.plan("unrecorded", 1, seconds, num_clients=CLIENTS)) as load:
        return _goodput(load.finish(), seconds)


def _steps(platform: Loaded, per_s: float, seconds: float, at_most: int) -> dict[float, float]:
    """Goodput by rate, upwards until a platform has not kept up twice: once may be a stall."""
    found: dict[float, float] = {}
    num_behind = 0
    while len(found) < at_most and num_behind < 2:
        answers = _open(platform, per_s, seconds)
        found[per_s] = _goodput(answers, seconds)
        num_behind = num_behind + 1 if share_good(answers, GOOD) < KEPT_UP else 0
        per_s *= GROWTH
    return found


def _open(platform: Loaded, per_s: float, seconds: float) -> list[Answer]:
    time.sleep(PAUSE_S)
    with Load(platform.plan("unrecorded", per_s, seconds)) as load:
        return load.finish()


def _then(
    platform: Loaded, over: Plan, usual_per_s: float, after_s: float
) -> tuple[list[Answer], list[Answer], float]:
    """The answers under overload, those of the usual load after it, and when it ended.

    The usual load begins two seconds before the end, so that its process runs by then.
    """
    time.sleep(PAUSE_S)
    with Load(over) as first:
        time.sleep(over.seconds - PAUSE_S)
        with Load(platform.plan("unrecorded", usual_per_s, after_s + PAUSE_S, seed=2)) as second:
            overloaded = first.finish()
            ended_s = max(answer.due_s for answer in overloaded)
            after = second.finish()
    return overloaded, between(after, ended_s, ended_s + after_s), ended_s


def _goodput(answers: Sequence[Answer], seconds: float) -> float:
    return sum(map(GOOD.met_by, answers)) / seconds


def _quantile(answers: Sequence[Answer], share: float) -> float:
    return quantile((one.took_s for one in answers if one.status == 200), share)
