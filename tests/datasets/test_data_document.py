"""The worked example of docs/data.md is complete: its files load, with the report it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.catalogue.item import BadRow, Dataset
from headrace.datasets import registry
from headrace.datasets.table import loader as table
from headrace.event import ImpressionEvent, Shown

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "data.md"
FILE = re.compile(r"^`shop/(?P<name>[\w.]+)`:\n\n```\w+\n(?P<content>.*?)^```$", re.M | re.S)
BAD_ROW = re.compile(r"^\| (\S+\.csv) \| (\d+) \| (\w+) \| (.+) \|$", re.M)


@pytest.fixture
def shop(tmp_path: Path) -> Dataset:
    for match in FILE.finditer(DOCUMENT.read_text(encoding="utf-8")):
        (tmp_path / match["name"]).write_text(match["content"], encoding="utf-8")
    assert registry.detect(tmp_path) == "table"
    return table.load(tmp_path)


def test_the_example_gives_the_impressions_that_the_text_counts(shop: Dataset) -> None:
    events = [event for event in shop.events() if isinstance(event, ImpressionEvent)]
    assert [event.request_id for event in events] == ["pv-1", "pv-4", "pv-2"]
    assert events[0].items == (Shown("mug", 0, True), Shown("pen", 1, False))
    assert [event.surface for event in events] == ["front", "front", "search"]
    assert [item.categories for item in shop.items][0] == ("kitchen", "gift")
    assert shop.items[2].attributes == ("colour=white",)
    assert shop.users[0].attributes == ("country=NL", "tier=gold")


def test_the_example_gives_the_bad_row_that_the_text_shows(shop: Dataset) -> None:
    shown = [
        BadRow(file, int(line), column, reason)
        for file, line, column, reason in BAD_ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    ]
    assert list(shop.bad_rows) == shown


def test_every_dataset_is_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in registry.LOADERS)
