"""KuaiRand's history: what each user watched before the log, as events to start with.

Reads `history.parquet` beside the log's files: per user the last 50 videos that were watched, liked
and watched for long, oldest first, how many were watched in all, and when the last one was. A
watched video is an impression. It is liked, or was watched for long, where it can be found in that
list from its end on. Whether it was clicked is not told: a long watch counts as a click, as nearly
all are in the log, and another as none, as most are there. Times are told of the last video only;
the others are spread evenly from the beginning of the published log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from headrace.datasets import columnar, kuairand
from headrace.datasets.dataset import Dataset
from headrace.errors import DatasetError
from headrace.event import ImpressionEvent, Shown
from headrace.features.facts import Ints

COLUMNS: Final = (
    "user_id", "history_len", "last_time_ms", "watch_seq", "like_seq", "long_watch_seq"
)  # fmt: skip
LOG_START_MS: Final = 1_649_347_200_000  # 2022-04-08 in China
MIN_STEP_MS: Final = 1_000  # between two videos of a user

_LIKED: Final = 1
_LONG: Final = 2


def load(folder: Path | None) -> Dataset:
    """The history as a log of its own, with the catalogue of KuaiRand."""
    log = kuairand.load(folder)
    assert folder is not None, "kuairand.load has said that it needs one"
    history_N4 = _read(folder / "history.parquet")
    return replace(
        log,
        name="kuairand-history",
        events=lambda: _events(history_N4),
        num_events=len(history_N4),
        start_ms=int(history_N4[0, 2]),
        end_ms=int(history_N4[-1, 2]),
    )


def read_events(path: Path) -> Iterator[ImpressionEvent]:
    """The events of a file with the columns of `history.parquet`, in the order of their times."""
    return _events(_read(path))


def _read(path: Path) -> Ints:
    """[N, 4]: all users' videos, in the order of their times."""
    table = columnar.read_parquet(path, COLUMNS).select(COLUMNS)
    columnar.check_complete(table, str(path))
    columns = [_watched(*row) for row in columnar.rows(table)]
    if not columns:
        raise DatasetError(f"{path}: no rows")
    history_N4 = np.concatenate(columns)
    return history_N4[np.argsort(history_N4[:, 2], kind="stable")]


def _events(history_N4: Ints) -> Iterator[ImpressionEvent]:
    for start in range(0, len(history_N4), columnar.BATCH_ROWS):
        rows = history_N4[start : start + columnar.BATCH_ROWS].tolist()
        yield from (_event(number, *row) for number, row in enumerate(rows, start))


def _watched(user: int, num: int, last_ms: int, *lists: Sequence[int]) -> Ints:
    """[N, 4]: one user's videos: user, video, time and what else is known, as bits."""
    watched, liked, long_watched = lists
    flags = _LIKED * _found(watched, liked) + _LONG * _found(watched, long_watched)
    step_ms = max((last_ms - LOG_START_MS) // max(num, len(watched)), MIN_STEP_MS)
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
