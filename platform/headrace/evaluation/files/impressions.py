"""The files of an evaluation: impressions in the order of time, checked before anything is learned.

One row is one impression with its outcomes, in the columns of KuaiRand. Files are read in batches,
so that they may be larger than memory: hence they must lie in the order of time, and a duplicate,
which has the same time, lies next to its original.

N rows   J labels
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.catalogue import columnar
from headrace.datasets.kuairand import loader as kuairand
from headrace.errors import DatasetError
from headrace.event import ImpressionEvent

LABELS: Final = (
    *("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate"),
    *("is_profile_enter", "long_view"),
)
IDENTITY: Final = ("time_ms", "user_id", "video_id")  # two rows that share all three are one
MAX_SURFACES: Final = 64


@dataclass(frozen=True, slots=True)
class Impression:
    """One row: the event that it is, its labels (0 or 1), and the file that it came from."""

    event: ImpressionEvent
    label_J: tuple[int, ...]
    split: str

    @property
    def time_ms(self) -> int:
        return self.event.event_time_ms

    @property
    def item_id(self) -> str:
        return self.event.items[0].item_id


@dataclass(slots=True)
class Span:
    """The extent of a checked file: its number of rows, its time range and its surfaces."""

    num_rows: int = 0
    start_ms: int = 0
    end_ms: int = 0
    surfaces: set[str] = field(default_factory=set)


def check_labels(labels: Sequence[str]) -> None:
    """Raises `DatasetError` unless these are different labels that an evaluation knows."""
    unknown = [label for label in labels if label not in LABELS]
    if unknown or not labels:
        named = ", ".join(unknown) or "none"
        raise DatasetError(f"--labels: got {named}; expected some of {', '.join(LABELS)}")
    if len(set(labels)) != len(labels):
        raise DatasetError(f"--labels: {', '.join(labels)} names a label twice; name each once")


def check_file(path: Path, labels: Sequence[str]) -> Span:
    """Looks at every row; raises `DatasetError` with the file and the column that is wrong."""
    span, tail_N3 = Span(), np.zeros((0, 3), np.int64)
    for batch in columnar.batches(path, _checked_columns(path, labels)):
        if len(batch) == 0:
            continue
        _check_values(batch, labels, path, span.num_rows)
        row_N3 = np.stack([batch.column(name).to_numpy() for name in IDENTITY], axis=1)
        _check_order(np.concatenate([tail_N3, row_N3]), path, span.num_rows - len(tail_N3))
        tail_N3 = row_N3[row_N3[:, 0] == row_N3[-1, 0]]
        span.start_ms = span.start_ms if span.num_rows else int(row_N3[0, 0])
        span.end_ms, span.num_rows = int(row_N3[-1, 0]), span.num_rows + len(row_N3)
        if len(span.surfaces) < MAX_SURFACES:
            span.surfaces |= {f"tab{tab}" for tab in batch.column("tab").unique().to_pylist()}
    if span.num_rows == 0:
        raise DatasetError(f"{path}: no rows; an evaluation needs impressions to learn and to test")
    return span


def check_files(train: Path, test: Path, labels: Sequence[str]) -> tuple[Span, Span]:
    """Both files, and that the test comes after the training."""
    check_labels(labels)
    spans = check_file(train, labels), check_file(test, labels)
    if spans[1].start_ms < spans[0].end_ms:
        raise DatasetError(
            f"{test}: time_ms begins at {spans[1].start_ms}, before the end of {train} "
            f"({spans[0].end_ms}); the test rows must come after all train rows"
        )
    return spans


def read(path: Path, labels: Sequence[str], split: str) -> Iterator[Impression]:
    """The rows of a checked file, in its order."""
    outcomes = [n for n in kuairand.OUTCOME_COLUMNS if n in columnar.column_names(path)]
    columns = list(dict.fromkeys((*kuairand.LOG_COLUMNS, *outcomes, *labels)))
    for batch in columnar.batches(path, columns):
        label_columns = [batch.column(label).to_pylist() for label in labels]
        rows = zip(kuairand.to_events(batch), zip(*label_columns, strict=True), strict=True)
        for event, label_J in rows:
            yield Impression(event, label_J, split)


def _checked_columns(path: Path, labels: Sequence[str]) -> list[str]:
    """The required columns, and every other column of numbers."""
    types = {field.name: field.type for field in columnar.schema(path)}
    numbers = [n for n, t in types.items() if pa.types.is_integer(t) or pa.types.is_floating(t)]
    return list(dict.fromkeys((*kuairand.LOG_COLUMNS, *labels, *numbers)))


def _check_values(batch: pa.RecordBatch, labels: Sequence[str], path: Path, first_row: int) -> None:
    for name in batch.schema.names:
        column = batch.column(name)
        bad_N = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
        if bad_N.any():
            row = first_row + int(bad_N.argmax()) + 1
            raise DatasetError(f"{path}: column {name}: NaN or no value in row {row}; fill it")
    for name in dict.fromkeys((*kuairand.LOG_COLUMNS, *labels)):
        if not pa.types.is_integer(batch.column(name).type):
            kind = batch.column(name).type
            raise DatasetError(f"{path}: column {name}: got {kind}, expected whole numbers")
    for name in dict.fromkeys(("is_click", *labels)):
        if not np.isin(batch.column(name).to_numpy(), (0, 1)).all():
            raise DatasetError(f"{path}: column {name}: expected 0 or 1 in every row")
    times_ms = batch.column("time_ms").to_numpy()
    columnar.check_times(times_ms, str(path), "time_ms")
    if times_ms.min() < 0:
        raise DatasetError(f"{path}: column time_ms: {times_ms.min()}: expected milliseconds")


def _check_order(row_N3: NDArray[Any], path: Path, first_row: int) -> None:
    back_N = np.diff(row_N3[:, 0]) < 0
    if back_N.any():
        row = first_row + int(back_N.argmax()) + 2
        raise DatasetError(
            f"{path}: column time_ms goes back in row {row}; sort the file by time_ms"
        )
    order_N = np.lexsort(row_N3.T[::-1])
    same_N = (np.diff(row_N3[order_N], axis=0) == 0).all(1)
    if same_N.any():
        row = first_row + int(order_N[1:][same_N].min()) + 1
        raise DatasetError(
            f"{path}: columns user_id, video_id and time_ms of row {row} are those of a row before "
            "it; a duplicate leaks its label: drop duplicates first"
        )
