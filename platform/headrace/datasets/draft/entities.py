"""The columns of items and of users, in files of their own or in that of the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from headrace.datasets.draft.choice import UNKNOWN, Choice, Section, column_reason
from headrace.datasets.draft.events import Events, time_of
from headrace.datasets.draft.files import (
    IDS,
    best,
    id_column,
    is_properties,
    is_unique,
    values_of,
)
from headrace.datasets.draft.words import fit, is_id
from headrace.datasets.table.guess import CellKind, ColumnGuess
from headrace.datasets.table.sniff import FileGuess

MAX_ATTRIBUTES: Final = 8
MAX_VALUES: Final = 50  # different ones of an attribute: with more it says nothing of others
MAX_NUMBERS: Final = 20
WORDS: Final[tuple[CellKind, ...]] = ("text", "html", "list", "whole", "boolean")
CATEGORIES: Final = "categories"
DESCRIPTION: Final = "description"
TITLE: Final = "title"

# Keys of `items` by what their columns are called, and the cells that they may have.
OF_ITEMS: Final[tuple[tuple[str, tuple[CellKind, ...]], ...]] = (
    (CATEGORIES, ("text", "list", "whole")),
    (DESCRIPTION, ("text", "html", "list")),
    (TITLE, ("text", "list")),
    ("image", ("picture",)),
    ("vector", ("list",)),
)


def items_of(file: FileGuess) -> Section:
    """The keys of the section `items`, all but its file and format."""
    if is_properties(file):
        return {"item_id": _key(file, "item_id", "by its name")} | _properties(file)
    section = {"item_id": _key(file, "item_id", "each once")}
    free = [one for one in file.columns if one.name != section["item_id"].value]
    section |= _contents(free)
    used = {_column(choice.value) for choice in section.values()}
    attributes = [one for one in free if one.name not in used and _is_attribute(one)]
    return section | _attributes(attributes)


def users_of(file: FileGuess) -> Section:
    """The keys of the section `users`, all but its file and format."""
    section = {"user_id": _key(file, "user_id", "each once")}
    free = [one for one in file.columns if one.name != section["user_id"].value]
    return section | _attributes([one for one in free if _is_attribute(one)])


def _key(file: FileGuess, role: str, why: str) -> Choice:
    """The id of a file's items or users: by its name, else the first column without repetition."""
    free = [one for one in file.columns if one.kind in IDS]
    column = id_column(file, role) or next((one for one in free if is_unique(file, one)), None)
    if column is None:
        question = f"which column of {file.path.name} is the id?"
        return Choice(UNKNOWN, question=question, options=tuple(one.name for one in free))
    return Choice(column.name, column_reason(column, why))


def items_in(events: Events) -> Section:
    """The items that rows of the events describe, where they do; the last row of each counts."""
    free = _free(events)
    contents = _contents(free, least=2)
    used = {choice.value for choice in contents.values() if isinstance(choice.value, str)}
    attributes = [
        one
        for one in free
        if one.name not in used and fit(one.name, "of_item") and _is_attribute(one)
    ]
    section = contents | _attributes(attributes)
    item = events.section.get("item_id")
    return {"item_id": item, **section} if section and item and not item.question else {}


def users_in(events: Events) -> Section:
    """The users that rows of the events describe, where they do; the last row of each counts."""
    attributes = [
        one for one in _free(events) if fit(one.name, "of_user") >= 2 and _is_attribute(one)
    ]
    user = events.section.get("user_id")
    if not attributes or user is None or user.question:
        return {}
    return {"user_id": Choice(_column(user.value), user.why), **_attributes(attributes)}


def _free(events: Events) -> list[ColumnGuess]:
    return [one for one in events.file.columns if one.name not in events.used]


def _contents(free: Sequence[ColumnGuess], least: int = 1) -> Section:
    """Title, description, categories, image and vector, by the names of columns: first those that
    say so, then those that have other words as well."""
    found: dict[str, ColumnGuess] = {}
    for weight in (3, 2, 1):
        for key, kinds in OF_ITEMS if weight >= least else ():
            fits = [
                one
                for one in sorted(free, key=lambda one: is_id(one.name))
                if one.kind in kinds and fit(one.name, key) == weight
                if one not in found.values() and (key == CATEGORIES or not is_id(one.name))
            ]
            if fits and key not in found:
                found[key] = fits[0]
    if DESCRIPTION in found and TITLE not in found:
        found[TITLE] = found.pop(DESCRIPTION)  # the only words that there are
    return {
        key: Choice(_written(key, found[key]), column_reason(found[key], "by its name"))
        for key, _ in OF_ITEMS
        if key in found
    }


def _written(key: str, column: ColumnGuess) -> Any:
    """A column, with the separator of its values where they are several and not the default."""
    if key not in (TITLE, DESCRIPTION) and column.separator and column.separator != "|":
        return {"column": column.name, "separator": column.separator}
    return column.name


def _is_attribute(column: ColumnGuess) -> bool:
    """A few values that come again; ids and numbers that are all different say nothing."""
    if column.kind not in WORDS or is_id(column.name):
        return False
    return 1 < column.num_distinct <= (MAX_NUMBERS if column.kind == "whole" else MAX_VALUES)


def _attributes(columns: Sequence[ColumnGuess]) -> Section:
    names = [one.name for one in columns[:MAX_ATTRIBUTES]]
    more = len(columns) - len(names)
    why = f"few values that come again{f'; {more} more are left out' if more else ''}"
    return {"attributes": Choice(names, why)} if names else {}


def _properties(file: FileGuess) -> Section:
    """A row for each property: which columns have its name, value and time."""
    name, value = (best(file, role, WORDS) for role in ("property", "value"))
    time = next((one for one in file.columns if one.kind == "time"), None)
    assert name is not None and value is not None
    columns: dict[str, Any] = {"name": name.name, "value": value.name}
    if time and (time.unit or len(time.patterns) == 1):
        columns["time"] = time_of(time)
    section = {"properties": Choice(columns, "a row for each property of an item")}
    names = values_of(file, name.name)
    labels = [one for one in names if fit(one, CATEGORIES)]
    if labels:
        section[CATEGORIES] = Choice(labels[0], "the name of a property")
    return section


def _column(value: Any) -> str:
    return value["column"] if isinstance(value, dict) and "column" in value else str(value)
