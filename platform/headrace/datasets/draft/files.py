"""Which files of a folder are events, items and users, by their columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headrace.datasets.draft.words import IDS as WORDS_OF_IDS
from headrace.datasets.draft.words import ROLES, deed, fit, words_of
from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.files.layout import kind_of
from headrace.datasets.table.files.open import READERS
from headrace.datasets.table.guess import CellKind, ColumnGuess
from headrace.datasets.table.sniff import FileGuess, sniff
from headrace.errors import DatasetError

MAX_FILES: Final = 50  # of a folder are looked at
LOOK_ROWS: Final = 10_000  # whose different values are counted
ROLE_OF: Final = {"items": "item_id", "users": "user_id"}
NAMES_OF: Final = {"item_id": frozenset(("catalog", "catalogue", "assortment"))}  # of files
SHOWN_ITEMS: Final = re.compile(r"\S+-[01]( \S+-[01])*")
IDS: Final[tuple[CellKind, ...]] = ("text", "whole", "number", "boolean")


@dataclass(slots=True)
class Files:
    """The files of each part, those of equal columns together; empty where there are none."""

    events: list[FileGuess] = field(default_factory=list)
    items: list[FileGuess] = field(default_factory=list)
    users: list[FileGuess] = field(default_factory=list)
    others: list[FileGuess] = field(default_factory=list)


def look(folder: Path) -> tuple[list[FileGuess], list[str]]:
    """The files of a folder that may hold rows, and a note on each that cannot be read."""
    found, notes = [], []
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and kind_of(path))
    for path in paths[:MAX_FILES]:
        try:
            guess = sniff(path)
        except DatasetError as error:
            notes.append(f"not read: {error}")
        else:
            found += [guess] if guess.columns and guess.num_rows else []
    if len(paths) > MAX_FILES:
        notes.append(f"{len(paths) - MAX_FILES} more files were not looked at")
    return found, notes


def sorted_out(guesses: Sequence[FileGuess], answers: Mapping[str, Any], folder: Path) -> Files:
    """The parts of these files; a person's word on a file counts more than its columns."""
    files = Files()
    free = list(guesses)
    kinds: dict[str, Callable[[FileGuess], bool]] = {
        "events": lambda file: _is_log(file, guesses), "items": _is_items, "users": _is_users
    }  # fmt: skip
    for name, of_kind in kinds.items():
        said = answers.get(f"{name}.file")
        wanted = [said] if isinstance(said, str) else list(said or ())
        chosen = [one for one in free if str(one.path.relative_to(folder)) in wanted]
        if not wanted:
            chosen = _best([one for one in free if of_kind(one)], ROLE_OF.get(name))
        setattr(files, name, chosen)
        free = [one for one in free if one not in chosen]
    if not files.events and len(free) == 1 and "events.file" not in answers:
        files.events, free = free, []  # the only file there is, whatever its columns are called
    files.others = free
    return files


def values_of(file: FileGuess, column: str) -> list[str]:
    """The different values of a column at the beginning of a file, in their order."""
    reader = READERS[file.layout.kind](file.path, file.path.name, file.layout)
    chunk = next(reader.chunks([column], BadRows()), None)
    cells: Iterable[Any] = chunk.columns[column][:LOOK_ROWS] if chunk else ()
    texts = (getattr(cell, "as_py", lambda cell=cell: cell)() for cell in cells)
    return list(dict.fromkeys(str(text).strip() for text in texts if text not in (None, "")))


def best(
    file: FileGuess, role: str, kinds: Sequence[CellKind] = IDS, least: int = 1
) -> ColumnGuess | None:
    """The column whose name fits a role best, among those of these kinds."""
    fits = [(fit(one.name, role), one) for one in file.columns if one.kind in kinds]
    found = max(fits, key=lambda pair: pair[0], default=(0, None))
    return found[1] if found[0] >= least else None


def shown_items(file: FileGuess) -> ColumnGuess | None:
    """The column of which each cell has the items of an impression, with whether each was clicked,
    such as "N1-0 N2-1"."""
    for one in file.columns:
        if all(map(SHOWN_ITEMS.fullmatch, one.samples)) and any(" " in x for x in one.samples):
            return one
    return None


def id_column(file: FileGuess, role: str) -> ColumnGuess | None:
    """The id of the items or users of a file: also a plain `id` in a file of such a name."""
    found = best(file, role)
    if found is None and _is_called(file, role):
        found = next((one for one in file.columns if set(words_of(one.name)) <= WORDS_OF_IDS), None)
    return found


def _is_called(file: FileGuess, role: str) -> bool:
    """Whether a file is called like what has this id."""
    stems = {word.removesuffix("s") for word in words_of(file.path.name.partition(".")[0])}
    return bool(stems & (ROLES[role] | NAMES_OF.get(role, frozenset())))


def is_unique(file: FileGuess, column: ColumnGuess) -> bool:
    """Whether no value of a column comes twice among the rows that were looked at."""
    return file.num_rows > 1 and column.num_distinct == file.num_rows


def _best(files: Sequence[FileGuess], role: str | None) -> list[FileGuess]:
    """The file with the most that a log has, or that is called like a catalogue, the greater of
    equal ones; and those with the same columns."""
    if not files:
        return []

    def weight(file: FileGuess) -> tuple[int, int]:
        likely = _is_called(file, role) if role else _num_told(file)
        return likely, file.path.stat().st_size

    chosen = max(files, key=weight)
    names = [column.name for column in chosen.columns]
    return [one for one in files if [column.name for column in one.columns] == names]


def _num_told(file: FileGuess) -> int:
    """How many of user, item, time and action a file tells."""
    told = [best(file, "user_id", least=2), best(file, "item_id", least=2)]
    told.append(next((one for one in file.columns if one.kind == "time"), None))
    told.append(next((one for one in file.columns if deed(one.name)), None) or best(file, "action"))
    return sum(one is not None for one in told)


def key_to_users(file: FileGuess, others: Sequence[FileGuess]) -> tuple[FileGuess, str] | None:
    """Another file that has users, and the column of a key that both have and that is unique there:
    of a line of an order the order, with who ordered."""
    for other in others:
        for column in file.columns if other is not file and best(other, "user_id", least=2) else ():
            key = other.column(column.name)
            if key and key.kind in IDS and is_unique(other, key):
                return other, key.name
    return None


def _is_log(file: FileGuess, others: Sequence[FileGuess]) -> bool:
    """Users with items, items that come again with times or with a key to users, or impressions."""
    if shown_items(file):
        return True
    item = best(file, "item_id", least=2)
    if item is None or is_properties(file):
        return False
    has_time = any(one.kind == "time" for one in file.columns)
    if best(file, "user_id", least=2):
        return True
    again = not is_unique(file, item)
    return again and (has_time or key_to_users(file, others) is not None)


def _is_items(file: FileGuess) -> bool:
    """Items, each once; or their properties, a row each."""
    item = id_column(file, "item_id")
    return item is not None and (is_unique(file, item) or is_properties(file))


def _is_users(file: FileGuess) -> bool:
    user = id_column(file, "user_id")
    return user is not None and is_unique(file, user)


def is_properties(file: FileGuess) -> bool:
    """Whether a file has a row for each property of an item: its name and value."""
    words = [
        best(file, role, ("text", "whole", "number", "list"), 3) for role in ("property", "value")
    ]
    return None not in words and best(file, "item_id") is not None
