"""The logs that quality is measured on, as the files that `headrace evaluate` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.datasets.movielens import impressions as movielens_impressions

TEST_BEGINS_MS: Final = 1_651_420_800_000  # midnight of 2022-05-02 in UTC+8
QUICK_TRAIN, QUICK_TEST = 4_000, 1_000  # rows


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The files of a log, and the labels to predict."""

    name: str
    folder: Path  # of train.parquet and test.parquet
    users: Path
    items: Path
    history: Path | None
    labels: tuple[str, ...]

    @property
    def flags(self) -> list[str]:
        """Those of `headrace evaluate` that name the log."""
        files = {
            "train": self.folder / "train.parquet",
            "test": self.folder / "test.parquet",
            "users": self.users,
            "items": self.items,
            "history": self.history,
        }
        flags = [f"--{flag}={path}" for flag, path in files.items() if path]
        return [*flags, f"--labels={','.join(self.labels)}"]


def kuairand(source: Path, folder: Path, quick: bool) -> LogFiles:
    """KuaiRand's impressions, divided at the beginning of 05-02."""
    rows = pq.read_table(source / "impressions.parquet")
    is_test = pc.greater_equal(rows["time_ms"], TEST_BEGINS_MS)
    _write(folder, rows.filter(pc.invert(is_test)), rows.filter(is_test), quick)
    return LogFiles(
        name="kuairand",
        folder=folder,
        users=source / "users.parquet",
        items=source / "videos.parquet",
        history=source / "history.parquet",
        labels=("is_click", "is_like", "long_view"),
    )


def movielens(folder: Path, quick: bool) -> LogFiles:
    """MovieLens-100K: the first four fifths of the ratings to learn from, the last to predict."""
    movielens_impressions.write(folder)
    if quick:
        train, test = (pq.read_table(folder / f"{name}.parquet") for name in ("train", "test"))
        _write(folder, train, test, quick)
    files = {"users": folder / "users.parquet", "items": folder / "videos.parquet"}
    return LogFiles("movielens", folder, **files, history=None, labels=("is_click",))


def _write(folder: Path, train: pa.Table, test: pa.Table, quick: bool) -> None:
    if quick:
        train, test = train.slice(max(0, len(train) - QUICK_TRAIN)), test.slice(0, QUICK_TEST)
    pq.write_table(train, folder / "train.parquet")
    pq.write_table(test, folder / "test.parquet")
