"""Globo.com's clicks: choices without impressions, in the order of time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.datasets import globo
from headrace.errors import DatasetError
from headrace.event import ClickEvent

FIRST_MS = 1_506_826_800_026
ROWS = {
    "user_id": [59, 79, 59],
    "click_article_id": [7, 8, 8],
    "click_timestamp": [FIRST_MS + 5, FIRST_MS, FIRST_MS + 5],
}


def test_a_row_is_a_click_that_no_impression_is_known_of(tmp_path: Path) -> None:
    pq.write_table(pa.table(ROWS), tmp_path / globo.FILE)
    dataset = globo.load(tmp_path)
    assert [*dataset.events()] == [
        ClickEvent("globo-0", FIRST_MS, "79", "8"),
        ClickEvent("globo-1", FIRST_MS + 5, "59", "7"),
        ClickEvent("globo-2", FIRST_MS + 5, "59", "8"),
    ]
    assert [item.item_id for item in dataset.items] == ["7", "8"]
    assert (dataset.start_ms, dataset.end_ms) == (FIRST_MS, FIRST_MS + 5)


def test_a_table_without_a_column_and_no_folder_are_errors(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": [1]}), tmp_path / globo.FILE)
    with pytest.raises(DatasetError, match="no column click_article_id"):
        globo.load(tmp_path)
    with pytest.raises(DatasetError, match="--data FOLDER"):
        globo.load(None)
