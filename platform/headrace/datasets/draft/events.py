"""The columns of events: who, which item, when, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.action import CLICK
from headrace.datasets.draft.choice import UNKNOWN, Choice, Section, column_reason
from headrace.datasets.draft.files import (
    IDS,
    best,
    is_unique,
    key_to_users,
    shown_items,
    values_of,
)
from headrace.datasets.draft.outcomes import Outcome, outcome_of
from headrace.datasets.draft.words import deed, fit
from headrace.datasets.table.guess import CellKind, ColumnGuess
from headrace.datasets.table.sniff import FileGuess

PAGES: Final[tuple[CellKind, ...]] = ("text", "whole")
MAX_SURFACES: Final = 30


@dataclass(slots=True)
class Events:
    """A file of events with the columns that a join adds, and what is chosen of them."""

    file: FileGuess
    other: FileGuess | None = None  # joined on `key`
    key: str = ""
    section: Section = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def columns(self) -> tuple[ColumnGuess, ...]:
        """Those of the file, and of the joined one."""
        others = self.other.columns if self.other else ()
        names = {column.name for column in self.file.columns}
        return (*self.file.columns, *(one for one in others if one.name not in names))

    @property
    def used(self) -> set[str]:
        """The names of the columns that have a meaning by now."""
        return {name for choice in self.section.values() for name in _names(choice.value)}


def events_of(file: FileGuess, others: Sequence[FileGuess]) -> Events:
    """The keys of the section `events`, all but its file and format."""
    has_users = best(file, "user_id", least=2) is not None
    joined = None if has_users else key_to_users(file, others)
    events = Events(file, *joined) if joined else Events(file)
    made = events.section
    made["user_id"] = _id(events, "user_id", "who it was", others)
    if shown := shown_items(file):
        value = {"column": shown.name, "separator": " ", "outcome_separator": "-"}
        made["item_ids"] = Choice(
            value, column_reason(shown, "items, and whether each was clicked")
        )
    else:
        made["item_id"] = _id(events, "item_id", "which item it was", others)
    made["time"] = _time(events)
    if shown:
        events.outcome = Outcome(actions=(CLICK,), tells_impressions=True)
    else:
        free = [one for one in events.columns if one.name not in events.used]
        events.outcome = outcome_of(file, free)
    made.update(events.outcome.section)
    if events.outcome.tells_impressions:
        made.update(_places(events))
    made["user_id"] = _with_guest(events, made["user_id"])
    if events.other is not None:
        made["joins"] = _join(events, events.other)
    return events


def _join(events: Events, other: FileGuess) -> Choice:
    """The join that adds the columns of another file that have a meaning."""
    wanted = [one.name for one in other.columns if one.name in events.used - {events.key}]
    join = {"file": other.path.name, "on": events.key, "columns": wanted}
    names = f"{events.file.path.name} and {other.path.name}"
    return Choice([join], f"{names} have {events.key} in common")


def _id(events: Events, role: str, what: str, others: Sequence[FileGuess]) -> Choice:
    """The column that is called so; else the only one that is the key of another file."""
    fits = [(fit(one.name, role), one) for one in events.columns if one.kind in IDS]
    fits = [pair for pair in fits if pair[0] and pair[1].name not in events.used]
    if fits:
        _, column = max(fits, key=lambda pair: pair[0])
        return Choice(column.name, column_reason(column, "by its name"))
    free = [one.name for one in events.columns if one.kind in IDS and one.name not in events.used]
    keys = [(name, other) for name in free for other in others if _is_key(other, name)]
    if len(keys) == 1:
        ((name, other),) = keys
        return Choice(name, f"the key of {other.path.name}")
    return Choice(UNKNOWN, question=f"which column says {what}?", options=tuple(free))


def _is_key(file: FileGuess, name: str) -> bool:
    column = file.column(name)
    return column is not None and column.kind in IDS and is_unique(file, column)


def _time(events: Events) -> Choice:
    """When it was: the column, and how its times are written."""
    times = [one for one in events.columns if one.kind == "time"]
    if not times:
        options = tuple(one.name for one in events.columns if one.name not in events.used)
        return Choice(
            {"column": UNKNOWN}, question="which column says when it was?", options=options
        )
    column = max(times, key=lambda one: (fit(one.name, "time"), deed(one.name) is not None))
    why = column_reason(column, "the only times" if len(times) == 1 else "by its name")
    if column.unit or len(column.patterns) == 1:
        is_utc = column.unit not in (None, "iso") or _has_zone(column)
        return Choice(time_of(column), why if is_utc else f"{why}; without a zone: UTC")
    question = "which pattern do the times have: is the day first, or the month?"
    value = {"column": column.name, "pattern": UNKNOWN}
    return Choice(value, why, question, column.patterns)


def time_of(column: ColumnGuess) -> dict[str, str]:
    """A column of times, with the only way in which they are written."""
    if column.unit:
        return {"column": column.name, "unit": column.unit}
    return {"column": column.name, "pattern": column.patterns[0]}


def _has_zone(column: ColumnGuess) -> bool:
    return all(text.endswith("Z") or "+" in text or text[-6:-5] == "-" for text in column.samples)


def _places(events: Events) -> Iterator[tuple[str, Choice]]:
    """Page view, position and surface, in a log that tells what was shown."""
    for key, kinds in (("request_id", PAGES), ("position", ("whole",)), ("surface", ("text",))):
        fits = [
            (fit(one.name, key), one)
            for one in events.columns
            if one.kind in kinds and one.name not in events.used
        ]
        weight, column = max(fits, key=lambda pair: pair[0], default=(0, None))
        if column is None or not weight:
            continue
        if key == "surface" and not 1 < column.num_distinct <= MAX_SURFACES:
            continue
        events.section[key] = choice = _place(events.file, key, column)
        yield key, choice


def _place(file: FileGuess, key: str, column: ColumnGuess) -> Choice:
    why = column_reason(column, "by its name")
    if key != "position" or file.column(column.name) is None:
        return Choice(column.name, why)
    first = min(int(text) for text in values_of(file, column.name) if text.lstrip("-").isdigit())
    if first < 1:
        return Choice(column.name, why)
    return Choice({"column": column.name, "first": first}, f"{why}; the least is {first}")


def _with_guest(events: Events, choice: Choice) -> Choice:
    """The user, and where his id is missing the order or session as a user of its own."""
    column = next((one for one in events.columns if one.name == choice.value), None)
    if column is None or not (column.num_missing or column.null_words):
        return choice
    free = [one for one in events.columns if one.kind in IDS and one.name not in events.used]
    for role in ("request_id", "order"):
        for guest in free:
            if fit(guest.name, role):
                value = {"column": column.name, "guest": guest.name}
                return Choice(
                    value, f"{choice.why}; where it is empty, each {guest.name} is a guest"
                )
    return Choice(column.name, f"{choice.why}; rows where it is empty are bad")


def _names(value: Any) -> Iterator[str]:
    """The columns in the value of a key."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("column", "guest", "quantity", "currency") or isinstance(inner, dict):
                yield from _names(inner)
