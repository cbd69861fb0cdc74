"""A folder with a user's own table, and what is made of it."""

from __future__ import annotations

from pathlib import Path

from headrace.catalogue.item import Dataset
from headrace.datasets.table import loader as table
from headrace.event import ImpressionEvent

EVENTS = "{file: events.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: %s%s}"


def load(
    folder: Path,
    rows: str,
    header: str = "u,i,t,c",
    extra: str = "",
    clicked: str = "c",
    **parts: str,
) -> Dataset:
    """The dataset of an events file with these rows; `extra` goes into the events mapping."""
    lines = ["events: " + EVENTS % (clicked, extra)] + [
        f"{name}: {text}" for name, text in parts.items()
    ]
    (folder / "headrace.yaml").write_text("\n".join(lines), encoding="utf-8")
    (folder / "events.csv").write_text(f"{header}\n{rows}", encoding="utf-8")
    return table.load(folder)


def impressions(dataset: Dataset) -> list[ImpressionEvent]:
    return [event for event in dataset.events() if isinstance(event, ImpressionEvent)]


def bad(dataset: Dataset) -> list[tuple[int, str, str]]:
    return [(row.line, row.column, row.reason) for row in dataset.bad_rows]
