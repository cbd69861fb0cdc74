"""KuaiRand: impressions of short videos in the Kuaishou app, with their outcomes.

Reads a folder with `impressions.parquet`, `users.parquet` and `videos.parquet`, columns named as
published. One row is one impression of one video; which rows were shown together is not known.
Clicks must be there; other actions of the table, by their name (`is_like`, `long_view`), and the
share that was watched are taken where they are.
Rows of the same user, video and millisecond get the same event id, so that exact duplicates, which
the raw logs have, are dropped downstream by its duplicate check and counted there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from headrace.action import ACTIONS, CLICK
from headrace.catalogue import columnar
from headrace.catalogue.item import Dataset, Item, User
from headrace.errors import DatasetError
from headrace.event import Event, ImpressionEvent, Shown, told_by
from headrace.events.declared import ATTRIBUTES

LOG_COLUMNS: Final = ("user_id", "video_id", "time_ms", "is_click", "tab")
DURATION: Final = "duration"  # in seconds, where it is declared as a number
ACTION_COLUMNS: Final = {
    of: name for name in ACTIONS for of in (f"is_{name}", name) if name != CLICK
}
OUTCOME_COLUMNS: Final = ("play_time_ms", "duration_ms", *ACTION_COLUMNS)
TIME_ZONE: Final = "Asia/Shanghai"
MAX_SHARE: Final = 10.0  # a video that went on in the background is no more than this
VIDEO_COLUMNS: Final = (
    "video_id",
    "tag",
    "author_id",
    "music_type",
    "video_type",
    "upload_type",
    "video_duration",
)
# 7 s and 18 s are where the app's own labels (valid play, long view) change their meaning.
DURATIONS_S: Final = (7, 18, 30, 60, 120, 240)
DURATION_NAMES: Final = ("0-7s", "7-18s", "18-30s", "30-60s", "60-120s", "120-240s", "240s+")


@dataclass(frozen=True, slots=True)
class _Span:
    """The size, period and order of the log, from one pass before any event is built."""

    num_rows: int
    start_ms: int
    end_ms: int
    in_order: bool


def load(folder: Path | None) -> Dataset:
    """The impressions of `folder` as events; they are read in batches on every pass."""
    if folder is None:
        raise DatasetError(
            "dataset kuairand is not downloadable by a program: give the folder with --data FOLDER"
        )
    path = folder / "impressions.parquet"
    span = _scan(path)

    def events() -> Iterator[Event]:
        for batch in _log(path, span):
            yield from to_events(batch)

    return Dataset(
        name="kuairand",
        items=read_items(folder / "videos.parquet"),
        users=read_users(folder / "users.parquet"),
        events=events,
        num_events=span.num_rows,
        start_ms=span.start_ms,
        end_ms=span.end_ms,
        time_zone=TIME_ZONE,
    )


def _scan(path: Path) -> _Span:
    """Checks every row and finds out whether the file can be streamed in its own order."""
    num_rows, start_ms, end_ms, last_ms, in_order = 0, -1, -1, -1, True
    for batch in columnar.batches(path, LOG_COLUMNS):
        columnar.check_complete(batch, str(path))
        if not all(map(pa.types.is_integer, batch.schema.types)):
            raise DatasetError(f"{path}: expected whole numbers in {', '.join(LOG_COLUMNS)}")
        times_ms = batch.column("time_ms").to_numpy()
        if times_ms.size == 0:
            continue
        first_ms, final_ms = int(times_ms.min()), int(times_ms.max())
        if first_ms < 0 or not np.isin(batch.column("is_click").to_numpy(), (0, 1)).all():
            raise DatasetError(f"{path}: expected time_ms from 0 up and is_click 0 or 1 everywhere")
        columnar.check_times(times_ms, str(path), "time_ms")
        in_order = in_order and int(times_ms[0]) >= last_ms and bool((np.diff(times_ms) >= 0).all())
        start_ms = first_ms if start_ms < 0 else min(start_ms, first_ms)
        end_ms, last_ms = max(end_ms, final_ms), int(times_ms[-1])
        num_rows += times_ms.size
    if num_rows == 0:
        raise DatasetError(f"{path}: no rows")
    return _Span(num_rows, start_ms, end_ms, in_order)


def _log(path: Path, span: _Span) -> Iterator[pa.RecordBatch]:
    """Batches in event-time order; only a file in another order is held in memory, as columns."""
    names = columnar.column_names(path)
    columns = [*LOG_COLUMNS, *(name for name in OUTCOME_COLUMNS if name in names)]
    if span.in_order:
        yield from columnar.batches(path, columns)
    else:
        table = columnar.read_parquet(path, columns).sort_by("time_ms")  # a stable sort
        yield from table.to_batches(max_chunksize=columnar.BATCH_ROWS)


def to_events(batch: pa.RecordBatch) -> Iterator[ImpressionEvent]:
    """One event per row; outcomes that the batch has no column for are unknown."""
    return map(_event, columnar.rows(_with_outcomes(batch)))


def _with_outcomes(batch: pa.RecordBatch) -> pa.Table:
    """The columns of an event, with nulls for outcomes that the file does not have."""
    nothing = pa.nulls(len(batch))
    names = (*LOG_COLUMNS, *OUTCOME_COLUMNS)
    columns = [batch.column(n) if n in batch.schema.names else nothing for n in names]
    return pa.Table.from_arrays(columns, names=list(names))


def _event(row: tuple[Any, ...]) -> ImpressionEvent:
    user, video, time_ms, is_click, tab, play_ms, duration_ms, *others = row
    told = zip(ACTION_COLUMNS.values(), others, strict=True)
    came = {name: bool(flag) for name, flag in told if flag is not None}
    name = f"kr-{user}-{video}-{time_ms}"
    shown = Shown(
        item_id=str(video),
        **told_by({CLICK: bool(is_click), **came}),
        grade=min(play_ms / duration_ms, MAX_SHARE) if play_ms and (duration_ms or 0) > 0 else None,
    )
    return ImpressionEvent(
        event_id=name,
        event_time_ms=time_ms,
        user_id=str(user),
        request_id=name,
        items=(shown,),
        surface=f"tab{tab}",
    )


def read_items(path: Path) -> tuple[Item, ...]:
    """The videos of a file with the columns of `videos.parquet`."""
    table = columnar.read_parquet(path, VIDEO_COLUMNS).select(VIDEO_COLUMNS)
    columnar.check_complete(table.select(["video_id"]), str(path))
    return tuple(map(_item, columnar.rows(table)))


def _item(row: tuple[Any, ...]) -> Item:
    video_id, tags, author, music_type, video_type, upload_type, duration_ms = row
    categories = tuple(f"tag={tag.strip()}" for tag in (tags or "").split(",") if tag.strip())
    attributes = [
        ("author", author),
        ("music_type", music_type),
        ("video_type", video_type),
        ("upload_type", upload_type),
    ]
    if _given(duration_ms):
        bucket = DURATION_NAMES[bisect_right(DURATIONS_S, duration_ms / 1000)]
        attributes.append((DURATION, bucket))
    words = _words(attributes)
    if _given(duration_ms) and DURATION in ATTRIBUTES:
        words += (f"{DURATION}={duration_ms / 1000}",)
    return Item(str(video_id), "", categories, words)


def read_users(path: Path) -> tuple[User, ...]:
    """The users of a file with the columns of `users.parquet`."""
    names = [name for name in columnar.column_names(path) if _is_category(name)]
    table = columnar.read_parquet(path, ["user_id", *names]).select(["user_id", *names])
    columnar.check_complete(table.select(["user_id"]), str(path))
    return tuple(
        User(str(user_id), _words(list(zip(names, values, strict=True))))
        for user_id, *values in columnar.rows(table)
    )


def _is_category(name: str) -> bool:
    """True for the columns that are already buckets; the raw counts beside them are left out."""
    return name == "user_active_degree" or name.endswith("_range") or name.startswith("onehot_feat")


def _words(pairs: list[tuple[str, Any]]) -> tuple[str, ...]:
    """The pairs that have a value, as "name=value"; whole numbers come without a fraction."""
    return tuple(
        f"{name}={int(value) if isinstance(value, float) else value}"
        for name, value in pairs
        if _given(value)
    )


def _given(value: Any) -> bool:
    """False for a null, and for the NaN that pandas writes in its place."""
    return value is not None and value == value
