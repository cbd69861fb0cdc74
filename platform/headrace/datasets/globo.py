"""Globo.com: clicks on news of 2017, without impressions and without texts.

One row of `clicks.parquet` is a click of a user on an article. An article is its id alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace.catalogue import columnar
from headrace.catalogue.item import Dataset, Item
from headrace.errors import DatasetError
from headrace.event import ClickEvent, Event

FILE: Final = "clicks.parquet"
TIME: Final = "click_timestamp"
COLUMNS: Final = ("user_id", "click_article_id", TIME)


def load(folder: Path | None = None) -> Dataset:
    """The clicks as events in the order of time, and the articles, whose order is by id."""
    log = _read(folder)
    times_ms = log.column(TIME)
    articles = sorted(log.column("click_article_id").unique().to_pylist())

    def events() -> Iterator[Event]:
        number = 0
        for batch in log.to_batches(max_chunksize=columnar.BATCH_ROWS):
            for user, article, time_ms in columnar.rows(batch):
                yield ClickEvent(f"globo-{number}", time_ms, f"{user}", f"{article}")
                number += 1

    return Dataset(
        name="globo",
        items=tuple(Item(f"{article}") for article in articles),
        users=(),
        events=events,
        num_events=len(log),
        start_ms=times_ms[0].as_py(),
        end_ms=times_ms[-1].as_py(),
        time_zone="America/Sao_Paulo",
    )


def _read(folder: Path | None) -> pa.Table:
    if folder is None:
        raise DatasetError(f"globo: it ships with nothing; expected --data FOLDER with {FILE}")
    path = folder / FILE
    log = columnar.read_parquet(path, COLUMNS).select(COLUMNS).sort_by(TIME)  # a stable sort
    columnar.check_complete(log, str(path))
    if not len(log):
        raise DatasetError(f"{path}: no rows")
    columnar.check_times(log.column(TIME).to_numpy(), "globo", TIME, "milliseconds")
    return log
