"""The mapping in `headrace.yaml`: which files and columns of the user's hold events, items, users.

The structs here and in `values` are the format. Reading is strict: unknown and missing keys, wrong
values and values that contradict each other are all reported at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from headrace.action import ACTIONS, CLICK
from headrace.application import document as application_file
from headrace.application.current import APPLICATION
from headrace.application.reading import unknown
from headrace.application.sections import MAPPING, SECTIONS
from headrace.datasets.table.cells.cell import text
from headrace.datasets.table.files.layout import COMPRESSIONS, KINDS, kind_of
from headrace.datasets.table.keys import part
from headrace.datasets.table.keys.part import Column, Part
from headrace.datasets.table.keys.part import columns as columns
from headrace.datasets.table.keys.values import (
    SHOWN,
    Files,
    Format,
    Guest,
    ItemIds,
    Join,
    Kind,
    Labels,
    Located,
    Money,
    Price,
    Properties,
    Rank,
    Share,
    Threshold,
    Time,
)
from headrace.errors import ConfigError, DatasetError

Distinct = Literal["first", "last"]


class Source(Part, frozen=True):
    """Parent of the three parts, each with the files that hold its rows.

    Every one has these keys last: how the files are written, files that more columns come from, and
    which row counts where several are of one thing.
    """

    file: Files

    @classmethod
    def misspelt(cls, document: dict[Any, Any]) -> Iterator[tuple[str, str]]:
        """Files of a kind that neither their names nor the format tell."""
        files, given = document.get("file"), document.get("format")
        if isinstance(given, dict) and given.get("delimiter"):
            return
        for name in files if isinstance(files, list) else [files]:
            if isinstance(name, str) and Path(name).suffix and kind_of(Path(name)) is None:
                endings = f"{', '.join(KINDS)}, maybe with {', '.join(COMPRESSIONS)} behind"
                yield "file", f"got {name!r}, expected a name ending in {endings}"


class EventColumns(Source, frozen=True, kw_only=True):
    """The file with one row for each item that was shown, or for each thing that was done."""

    user_id: Column | Guest
    item_id: Column | None = None
    item_ids: ItemIds | None = None
    time: Time
    clicked: Column | Threshold | None = None
    action: Kind | None = None
    outcomes: dict[str, Column | Threshold] = {}  # of actions of the table, beside the click
    impressions: bool | None = None
    request_id: Column | None = None
    position: Column | Rank | None = None
    surface: Column | None = None
    context: dict[str, Column] = {}  # of the fields that the application declares
    value: Column | Share | None = None
    money: Money | None = None
    format: Format | None = None
    joins: tuple[Join, ...] = ()
    distinct: Distinct | None = None

    @classmethod
    def misspelt(cls, document: dict[Any, Any]) -> Iterator[tuple[str, str]]:
        """Items that nothing tells, or that two keys do."""
        yield from super().misspelt(document)
        given = [key for key in ("item_id", "item_ids") if document.get(key) is not None]
        if len(given) != 1:
            yield "item_id", "leave out item_ids or this" if given else "missing (or item_ids)"

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Outcomes that two keys tell, impressions that the mapping denies."""
        has_outcomes = self.item_ids is not None and self.item_ids.outcome_separator is not None
        if self.clicked is not None and has_outcomes:
            yield "clicked", "the outcome_separator of item_ids tells it: leave out one of the two"
        if self.action is not None and (self.clicked is not None or has_outcomes or self.outcomes):
            yield "action", "clicked and outcomes tell the same: leave out one of the two"
        if self.impressions is False and self.action is not None and self.action.has_shown:
            yield "impressions", f"is false, but a value of action means {SHOWN}"

    @property
    def tells_impressions(self) -> bool:
        """Whether rows say what was shown but not chosen."""
        if self.impressions is not None:
            return self.impressions
        if self.action is not None:
            return self.action.has_shown
        in_ids = self.item_ids is not None and self.item_ids.outcome_separator is not None
        return self.clicked is not None or in_ids


class ItemColumns(Source, frozen=True):
    """The file with one row for each item."""

    item_id: Column
    title: Column | None = None
    categories: Column | Labels | None = None
    attributes: tuple[Column, ...] = ()
    description: Column | None = None
    image: Column | Located | None = None  # and the other modalities of `content.FILES`
    audio: Column | Located | None = None
    video: Column | Located | None = None
    vector: Column | Labels | None = None
    price: Price | None = None
    stock: Column | None = None
    available_from: Column | Time | None = None
    available_until: Column | Time | None = None
    min_age: Column | None = None
    properties: Properties | None = None
    format: Format | None = None
    joins: tuple[Join, ...] = ()
    distinct: Distinct | None = None


class UserColumns(Source, frozen=True):
    """The file with one row for each user."""

    user_id: Column
    attributes: tuple[Column, ...] = ()
    format: Format | None = None
    joins: tuple[Join, ...] = ()
    distinct: Distinct | None = None


AnyPart = EventColumns | ItemColumns | UserColumns


class TableMapping(Part, frozen=True, kw_only=True):
    """The parts of `headrace.yaml` that say which column is what."""

    events: EventColumns
    items: ItemColumns | None = None
    users: UserColumns | None = None


def problems_of(document: Any, actions: Collection[str] = ACTIONS) -> list[str]:
    """What is wrong with the sections `events`, `items` and `users` of `headrace.yaml`, each with
    its path; `actions` are the names that outcomes may have."""
    if document is None:
        return ["is empty, expected at least the key events"]
    if not isinstance(document, dict):
        return part.problems_of(TableMapping, document, "")
    sections = _sections(document)
    problems = part.problems_of(TableMapping, sections, "")
    return problems or list(_unknown_actions(msgspec.convert(sections, TableMapping), actions))


def path_of(folder: Path) -> Path:
    """The file that has the mapping of the files in a folder: its own headrace.yaml, else the
    application file of this process where that has one."""
    own = folder / application_file.FILE
    return Path(APPLICATION.path) if APPLICATION.mapping and not own.is_file() else own


def is_mapped(folder: Path) -> bool:
    """Whether columns of the files in a folder are mapped, or are meant to be: the mapping may be
    wrong. A file of other sections alone maps none."""
    path = path_of(folder)
    if not path.is_file():
        return False
    document = application_file.read(path)
    return not document or not set(MAPPING).isdisjoint(document)


def read(folder: Path) -> TableMapping:
    """The mapping of the files in `folder`; raises `ConfigError` with every problem in it."""
    path = path_of(folder)
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; it says which columns to read")
    document = application_file.read(path)
    problems = [unknown(name, SECTIONS) for name in document if name not in SECTIONS]
    problems += problems_of(document or None)
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return msgspec.convert(_sections(document), TableMapping)


def _sections(document: dict[Any, Any]) -> dict[str, Any]:
    """The three sections, with keys as they are written: to YAML, `on` is true and `1` a number."""
    return {name: _respelt(document.get(name), name) for name in TableMapping.__struct_fields__}


def _respelt(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_respelt(one, key) for one in value]
    if not isinstance(value, dict):
        return value
    if key == "values":
        return {text(name): action for name, action in value.items()}
    names = {name: "on" if key == "joins" and name is True else name for name in value}
    return {names[name]: _respelt(inner, str(names[name])) for name, inner in value.items()}


def _unknown_actions(mapping: TableMapping, actions: Collection[str]) -> Iterator[str]:
    events = mapping.events
    told = [("outcomes", name) for name in events.outcomes]
    told += [("action", name) for name in (events.action.names if events.action else ())]
    for key, name in told:
        known = [one for one in actions if key == "action" or one != CLICK]
        if name not in known:
            yield f"events.{key}: got {name!r}, expected some of: {', '.join(known) or 'none'}"
