"""JSON lines: an object a row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from table_folder import bad, impressions

from headrace.catalogue.item import Dataset, Item
from headrace.datasets.table import loader as table
from headrace.errors import ConfigError

KEYS = "user_id: u, item_id: i, time: {column: t}, clicked: c"
ROW = {"u": "a", "i": "x", "t": "2024-05-01T12:00:00Z", "c": True}


def load(folder: Path, *rows: Any, items: str = "") -> Dataset:
    (folder / "headrace.yaml").write_text(f"events: {{file: e.jsonl, {KEYS}}}\n{items}")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "e.jsonl").write_text("\n".join(lines) + "\n")
    return table.load(folder)


def test_each_line_is_a_row_and_a_bad_one_costs_itself(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        ROW,
        {**ROW, "u": 7, "i": 8.0, "t": 1_714_564_801_000, "c": 0, "more": {"deep": [1]}},
        "",
        "{broken",
        "[1, 2]",
        {**ROW, "u": None},
        {key: value for key, value in ROW.items() if key != "c"},
    )
    told = [(event.user_id, event.items[0].item_id) for event in impressions(dataset)]
    assert told == [("a", "x"), ("7", "8")]
    assert [(line, column) for line, column, _ in bad(dataset)] == [
        (4, "(row)"), (5, "(row)"), (6, "u"), (7, "c")
    ]  # fmt: skip


def test_values_of_one_kind_keep_their_type(tmp_path: Path) -> None:
    (tmp_path / "i.ndjson.gz").write_bytes(
        gzip.compress(
            b'{"id": 1, "tags": ["a", ["b"]], "v": [1, 2.5]}\n{"id": 2, "tags": "c|d"}\n'
            b'{"id": 12345678901234567890}\n'
        )
    )
    items = "items: {file: i.ndjson.gz, item_id: id, categories: tags, vector: v}"
    dataset = load(tmp_path, ROW, items=items)
    assert dataset.items == (
        Item("1", "", ("a", "b")),
        Item("2", "", ("c", "d")),
        Item("12345678901234567890"),
    )
    assert [content.vector for content in dataset.contents()] == [(1.0, 2.5), None, None]


def test_a_key_that_no_object_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"events\.clicked: e\.jsonl has no column 'c'; it has u"):
        load(tmp_path, {"u": "a", "i": "x", "t": 1})
