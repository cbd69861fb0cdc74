"""Ratios against a baseline of the same run: alternating pairs, a median and an interval."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

NUM_PAIRS = 9
NUM_RESAMPLES = 2_000


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    subject: Callable[[], object], baseline: Callable[[], object], num_pairs: int = NUM_PAIRS
) -> dict[str, Any]:
    """How many times the baseline's time the subject takes; the order changes with each pair."""
    return compare_timed(partial(seconds, subject), partial(seconds, baseline), num_pairs)


def compare_timed(
    subject: Callable[[], float], baseline: Callable[[], float], num_pairs: int = NUM_PAIRS
) -> dict[str, Any]:
    """The same, of functions that time themselves and return the seconds."""
    subject_s, baseline_s = [], []
    for pair in range(num_pairs):
        if pair % 2:
            subject_s.append(subject())
            baseline_s.append(baseline())
        else:
            baseline_s.append(baseline())
            subject_s.append(subject())
    ratios = [one / other for one, other in zip(subject_s, baseline_s, strict=True)]
    return {
        "time_ratio": statistics.median(ratios),
        "interval_95": interval(ratios),
        "subject_s": subject_s,
        "baseline_s": baseline_s,
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Bootstrap 95 % interval of the median."""
    draw = random.Random(0)
    medians = sorted(
        statistics.median(draw.choices(values, k=len(values))) for _ in range(NUM_RESAMPLES)
    )
    return medians[int(0.025 * NUM_RESAMPLES)], medians[int(0.975 * NUM_RESAMPLES)]
