"""A folder with a user's own table, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.action import ACTIONS
from headrace.catalogue.item import Dataset
from headrace.datasets.table import loader as table
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent, decode, encode

FAR_MS = 10**15
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


def load_events(folder: Path, keys: str, *rows: str, header: str = "u,i,t,e") -> Dataset:
    """The dataset of an events file with these rows; `keys` go into the events mapping."""
    (folder / "headrace.yaml").write_text(
        f"events: {{file: e.csv, user_id: u, item_id: i, time: {{column: t, unit: s}}, {keys}}}"
    )
    (folder / "e.csv").write_text("\n".join([header, *rows]) + "\n")
    return table.load(folder)


def told(event: Event) -> tuple[Any, ...]:
    """An event in short: kind, time in seconds, user, items, and what came of them."""
    time_s = event.event_time_ms // 1_000
    match event:
        case ImpressionEvent():
            came = {
                shown.item_id: "+".join(
                    name for name, is_so in zip(ACTIONS, shown.told, strict=True) if is_so
                )
                for shown in event.items
            }
            return "shown", time_s, event.user_id, came
        case ClickEvent():
            return "click", time_s, event.user_id, event.item_id
        case ActionEvent():
            return event.action, time_s, event.user_id, event.item_id


def events(dataset: Dataset) -> list[tuple[Any, ...]]:
    """Each event in short; all are valid, different and in the order of time."""
    every = list(dataset.events())
    assert [decode(encode(event), FAR_MS) for event in every] == every
    assert len({event.event_id for event in every}) == len(every) == dataset.num_events
    times_ms = [event.event_time_ms for event in every]
    assert times_ms == sorted(times_ms)
    return [told(event) for event in every]
