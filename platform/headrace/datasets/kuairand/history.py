"""KuaiRand's history: the videos watched by each user before the log, as events to start with.

Reads `history.parquet` beside the log's files: per user the last 50 videos that were watched, liked
and watched for long, oldest first, how many were watched in all, and when the last one was. A
watched video is an impression. It is liked, or was watched for long, where it can be found in that
list from its end on. Whether it was clicked is not told: a long watch counts as a click, as nearly
all are in the log, and another as none, as most are there. Times are told of the last video only;
the others are spread evenly from the beginning of the published log.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from headrace.catalogue import columnar
from headrace.catalogue.item import Dataset
from headrace.datasets.kuairand import loader as kuairand
from headrace.errors import DatasetError
from headrace.event import ImpressionEvent, Shown
from headrace.features.aggregation.facts import Ints

COLUMNS: Final = (
    "user_id", "history_len", "last_time_ms", "watch_seq", "like_seq", "long_watch_seq"
)  # fmt: skip
LOG_START_MS: Final = 1_649_347_200_000  # 2022-04-08 in China
MIN_STEP_MS: Final = 1_000  # between two videos of a user
MAX_EVENTS: Final = 1 << 22  # in memory at once; 128 MiB of numbers
HOUR_MS: Final = 3_600_000

_LIKED: Final = 1
_LONG: Final = 2


@dataclass(frozen=True, slots=True)
class _Span:
    """The extent of the history: how many videos, and times between which few enough are."""

    num_events: int
    bound_ms: tuple[int, ...]  # ascending; videos are from the first on and before the last


def load(folder: Path | None) -> Dataset:
    """The history as a log of its own, with the catalogue of KuaiRand."""
    log = kuairand.load(folder)
    assert folder is not None, "kuairand.load has said that it needs one"
    path = folder / "history.parquet"
    span = _scan(path)
    return replace(
        log,
        name="kuairand-history",
        events=lambda: _events(path, span),
        num_events=span.num_events,
        start_ms=span.bound_ms[0],
        end_ms=span.bound_ms[-1] - 1,
    )


def read_events(path: Path) -> Iterator[ImpressionEvent]:
    """The events of a file with the columns of `history.parquet`, in the order of their times.

    The file is in the order of users. It is read once to count, and once for each `MAX_EVENTS`
    that it holds, which is how many are in memory at once.
    """
    return _events(path, _scan(path))


def _scan(path: Path) -> _Span:
    """Counts the videos of each hour, and divides the hours so that no part has too many."""
    num_of_hour: Counter[int] = Counter()
    start_ms, end_ms = sys.maxsize, 0
    for history_N4 in _parts(path):
        hour_H, num_H = np.unique(history_N4[:, 2] // HOUR_MS, return_counts=True)
        num_of_hour.update(dict(zip(hour_H.tolist(), num_H.tolist(), strict=True)))
        start_ms = min(start_ms, int(history_N4[:, 2].min()))
        end_ms = max(end_ms, int(history_N4[:, 2].max()))
    if not num_of_hour:
        raise DatasetError(f"{path}: no rows")
    bounds_ms, held = [start_ms], 0
    for hour in sorted(num_of_hour):
        if held and held + num_of_hour[hour] > MAX_EVENTS:
            bounds_ms.append(hour * HOUR_MS)
            held = 0
        held += num_of_hour[hour]
    return _Span(num_of_hour.total(), (*bounds_ms, end_ms + 1))


def _parts(path: Path) -> Iterator[Ints]:
    """[N, 4]: all users' videos, a thousand users at a time."""
    for batch in columnar.batches(path, COLUMNS):
        columnar.check_complete(batch, str(path))
        columns = [_watched(*row) for row in columnar.rows(batch.select(COLUMNS))]
        if any(map(len, columns)):
            yield np.concatenate(columns)


def _events(path: Path, span: _Span) -> Iterator[ImpressionEvent]:
    number = itertools.count()
    for start_ms, end_ms in itertools.pairwise(span.bound_ms):
        between = [h[(h[:, 2] >= start_ms) & (h[:, 2] < end_ms)] for h in _parts(path)]
        history_N4 = np.concatenate(between)
        history_N4 = history_N4[np.argsort(history_N4[:, 2], kind="stable")]
        for start in range(0, len(history_N4), columnar.BATCH_ROWS):
            for row in history_N4[start : start + columnar.BATCH_ROWS].tolist():
                yield _event(next(number), *row)


def _watched(user: int, num: int, last_ms: int, *lists: Sequence[int]) -> Ints:
    """[N, 4]: one user's videos: user, video, time and flags (liked, watched for long) as bits."""
    watched, liked, long_watched = lists
    flags = _LIKED * _found(watched, liked) + _LONG * _found(watched, long_watched)
    step_ms = max((last_ms - LOG_START_MS) // max(num, len(watched), 1), MIN_STEP_MS)
    time_ms = last_ms - step_ms * np.arange(len(watched) - 1, -1, -1)
    user_N = np.full(len(watched), user)
    return np.stack([user_N, np.array(watched, np.int64), time_ms, flags], axis=1)


def _found(watched: Sequence[int], listed: Sequence[int]) -> Ints:
    """[N]: 1 where a watched video is the next in a list of some of them, both from the end on."""
    found_N, left = np.zeros(len(watched), np.int64), list(listed)
    for place in range(len(watched) - 1, -1, -1):
        if left and watched[place] == left[-1]:
            found_N[place] = 1
            left.pop()
    return found_N


def _event(number: int, user: int, video: int, time_ms: int, flags: int) -> ImpressionEvent:
    name = f"krh-{number}-{user}"
    is_long = bool(flags & _LONG)
    shown = Shown(
        item_id=str(video), clicked=is_long, liked=bool(flags & _LIKED), long_viewed=is_long
    )
    return ImpressionEvent(
        event_id=name, event_time_ms=time_ms, user_id=str(user), request_id=name, items=(shown,)
    )
