"""The mapping in `headrace.yaml`: which of the user's files and columns hold events, items, users.

The structs below are the format; a value that may be a plain column name or a few keys is a union.
Reading is strict: unknown keys, missing keys and wrong values are all reported at once.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from headrace.action import ACTIONS, CLICK
from headrace.application import document as application_file
from headrace.application.current import APPLICATION
from headrace.application.reading import unknown
from headrace.application.sections import MAPPING, SECTIONS
from headrace.errors import ConfigError, DatasetError
from headrace.event import MAX_VALUE

Column = Annotated[str, msgspec.Meta(min_length=1)]
FileName = Annotated[str, msgspec.Meta(pattern=r"\.(csv|tsv|parquet)$")]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parent of everything in the mapping: immutable, and strict about its keys."""


class Time(Part, frozen=True):
    """Event time; an `iso` time without a zone is UTC."""

    column: Column
    unit: Literal["s", "ms", "iso"]


class Threshold(Part, frozen=True):
    """An action is a number of at least this much, such as a rating or a dwell time."""

    column: Column
    at_least: float


class Rank(Part, frozen=True):
    """A position; `first` is the number that the user's column gives to the top one."""

    column: Column
    first: Annotated[int, msgspec.Meta(ge=0)] = 0


class Share(Part, frozen=True):
    """An outcome's value as a share, where `of` is the whole: a rating of 4 in 5, 30 s in 60."""

    column: Column
    of: Annotated[float, msgspec.Meta(gt=0, le=MAX_VALUE)]


class Labels(Part, frozen=True):
    """Several values in one cell; a list column of a Parquet file needs no separator."""

    column: Column
    separator: Annotated[str, msgspec.Meta(min_length=1)] = "|"


class EventColumns(Part, frozen=True):
    """The file with one row for each item that was shown."""

    file: FileName
    user_id: Column
    item_id: Column
    time: Time
    clicked: Column | Threshold
    request_id: Column | None = None
    position: Column | Rank | None = None
    surface: Column | None = None
    value: Column | Share | None = None
    outcomes: dict[str, Column | Threshold] = {}  # of actions of the table, beside the click


class ItemColumns(Part, frozen=True):
    """The file with one row for each item."""

    file: FileName
    item_id: Column
    title: Column | None = None
    categories: Column | Labels | None = None
    attributes: tuple[Column, ...] = ()
    description: Column | None = None
    image: Column | None = None  # of names of files, or of what is in them: `content.FILES`
    audio: Column | None = None
    video: Column | None = None
    vector: Column | Labels | None = None


class UserColumns(Part, frozen=True):
    """The file with one row for each user."""

    file: FileName
    user_id: Column
    attributes: tuple[Column, ...] = ()


class TableMapping(Part, frozen=True):
    """The sections of `headrace.yaml` that are about files."""

    events: EventColumns
    items: ItemColumns | None = None
    users: UserColumns | None = None


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
    sections = application_file.read(path)
    return not sections or not set(MAPPING).isdisjoint(sections)


def read(folder: Path) -> TableMapping:
    """The mapping of the files in `folder`; raises `ConfigError` with every problem in it."""
    path = path_of(folder)
    sections = _sections(path)
    problems = [unknown(name, SECTIONS) for name in sections if name not in SECTIONS]
    problems += problems_of(sections)
    if not sections:
        problems.append("is empty, expected at least the key events")
    elif not sections.get("events"):
        problems.append("events: missing")
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    known = TableMapping.__struct_fields__
    return msgspec.convert({name: sections.get(name) for name in known}, TableMapping)


def problems_of(sections: Mapping[str, Any], actions: Collection[str] = ACTIONS) -> list[str]:
    """Every problem of the mapping among the sections of an application file."""
    problems: list[str] = []
    for field in msgspec.structs.fields(TableMapping):
        section = sections.get(field.name)
        if section is not None:
            _check_value(field.type, section, field.name, problems)
    events = sections.get("events")
    outcomes = events.get("outcomes") if isinstance(events, dict) else None
    others = [name for name in actions if name != CLICK]
    problems += [
        f"events.outcomes: got {name!r}, expected some of: {', '.join(others) or 'none'}"
        for name in (outcomes if isinstance(outcomes, dict) else ())
        if name not in others
    ]
    return problems


def columns(part: Part) -> Iterator[tuple[str, str]]:
    """(key, column) of each column of the user's file that this part reads."""
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        if field.name == "file" or value is None:
            continue
        several = value.values() if isinstance(value, dict) else value
        for one in several if isinstance(value, dict | tuple) else [value]:
            yield field.name, one if isinstance(one, str) else one.column


def _sections(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; it says which columns to read")
    return application_file.read(path)


def _check(kind: type[Part], document: Any, path: str, problems: list[str]) -> None:
    """Adds the problems of `document` as a `kind`, each under its key's path."""
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(document, dict):
        found = f"got {document!r}, expected the keys {', '.join(known)}"
        problems.append(f"{path}: {found}" if path else found)
        return
    prefix = f"{path}." if path else ""
    for key in document:
        if key not in known:
            problems.append(f"{prefix}{key}: unknown key, known here: {', '.join(known)}")
    for name, field in known.items():
        value = document.get(name)
        if value is None:
            if field.required:
                problems.append(f"{prefix}{name}: missing")
            continue
        _check_value(field.type, value, prefix + name, problems)


def _check_value(kind: Any, value: Any, path: str, problems: list[str]) -> None:
    choices = typing.get_args(kind) or (kind,)
    part = next((c for c in choices if isinstance(c, type) and issubclass(c, Part)), None)
    plain_allowed = Column in choices
    if part is not None and (isinstance(value, dict) or not plain_allowed):
        _check(part, value, path, problems)
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problems.append(f"{path}: got {value!r}: {error}")
