"""The whole draft of a folder: its files sorted out, their columns guessed, actions declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headrace.action import CLICK
from headrace.application.action import BUILT_IN, DEFAULT_TABLE
from headrace.datasets.draft.choice import UNKNOWN, Choice, Draft, Section
from headrace.datasets.draft.entities import items_in, items_of, users_in, users_of
from headrace.datasets.draft.events import Events, events_of
from headrace.datasets.draft.files import Files, is_properties, look, sorted_out
from headrace.datasets.table.files.layout import TABS, inner_suffix, kind_of
from headrace.datasets.table.sniff import FileGuess
from headrace.errors import ConfigError, DatasetError

FILE: Final = "file"
LAST: Final = Choice("last", "the newest row of each counts")
PREDICTED: Final = frozenset(row.name for row in DEFAULT_TABLE if row.predicted)


def drafted(folder: Path, answers: Mapping[str, Any]) -> Draft:
    """The draft of the files in a folder; `answers` are a person's words by path, such as
    events.user_id, and stand for guesses.

    Raises `DatasetError` where no file can be looked at, `ConfigError` where a named one is none.
    """
    guesses, notes = look(folder)
    if not guesses:
        said = "; ".join(notes) or "no file that may hold rows, such as .csv, .jsonl or .parquet"
        raise DatasetError(f"{folder}: {said}")
    files = sorted_out(guesses, _named(answers, guesses, folder), folder)
    draft = Draft(dict(_sections(files, guesses, folder)), notes)
    draft.notes += _maybe_actions(files, draft)
    for path, value in answers.items():
        by_word = path == "events.action" and isinstance(value, str)
        if not draft.answer(path, {"always": value} if by_word else value):
            draft.notes.append(f"--set {path}: nothing like it was guessed")
    joined = [
        *_used(draft),
        *(one.path.name for one in (*files.events, *files.items, *files.users)),
    ]
    draft.notes += [
        f"not used: {one.path.name} ({', '.join(column.name for column in one.columns[:6])})"
        for one in files.others
        if one.path.name not in joined
    ]
    return draft


def _named(
    answers: Mapping[str, Any], guesses: Sequence[FileGuess], folder: Path
) -> Mapping[str, Any]:
    """The answers, once every file that they name is one of these."""
    known = [str(one.path.relative_to(folder)) for one in guesses]
    for path, value in answers.items():
        for name in value if isinstance(value, list) else [value]:
            if path.endswith(f".{FILE}") and name not in known:
                raise ConfigError(f"--set {path}={name}: expected one of {', '.join(known)}")
    return answers


def _sections(
    files: Files, guesses: Sequence[FileGuess], folder: Path
) -> Iterator[tuple[str, Section | Choice]]:
    if not files.events:
        names = tuple(str(one.path.relative_to(folder)) for one in guesses)
        question = "which file has a row for each thing that somebody did, or was shown?"
        yield "events", {FILE: Choice(UNKNOWN, "", question, names)}
        return
    events = events_of(files.events[0], [one for one in guesses if one not in files.events])
    yield from _actions(events)
    yield "events", {**_source(files.events, folder, "users and items by time"), **events.section}
    if files.items:
        of_items = items_of(files.items[0])
        why = "properties of items" if is_properties(files.items[0]) else "an item in each row"
        yield "items", {**_source(files.items, folder, why), **of_items}
    elif in_events := items_in(events):
        source = _source(files.events, folder, "the rows of events describe their items")
        yield "items", {**source, **in_events, "distinct": LAST}
    if files.users:
        yield (
            "users",
            {**_source(files.users, folder, "a user in each row"), **users_of(files.users[0])},
        )
    elif in_events := users_in(events):
        source = _source(files.events, folder, "the rows of events describe their users")
        yield "users", {**source, **in_events, "distinct": LAST}


def _actions(events: Events) -> Iterator[tuple[str, Choice]]:
    """The actions, where some of the log's have no head by default."""
    mine = set(events.outcome.actions)
    if mine - PREDICTED:
        names = [name for name in BUILT_IN if name in mine or name == CLICK]
        yield "actions", Choice(names, "those of the log; the ranker predicts each")


def _maybe_actions(files: Files, draft: Draft) -> Iterator[str]:
    """A note on columns of yes and no in a log that say nothing that is known of a row."""
    said = {name for _, choice in draft.choices() for name in _words(choice.value)}
    for file in files.events[:1]:
        free = [one.name for one in file.columns if one.kind == "boolean" and one.name not in said]
        if free:
            yield (
                f"not used: {', '.join(free)} of {file.path.name}, yes or no; for actions of your "
                "own add them to actions, and to events.outcomes"
            )


def _words(value: Any) -> Iterator[str]:
    """The texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        yield from (word for one in inner for word in _words(one))


def _source(files: Sequence[FileGuess], folder: Path, why: str) -> Section:
    """The keys that say which files, and how these are written."""
    names = [str(file.path.relative_to(folder)) for file in files]
    section = {FILE: Choice(names[0] if len(names) == 1 else names, why)}
    if written := _format(files[0]):
        section["format"] = Choice(written, "as its beginning looks")
    return section


def _format(file: FileGuess) -> dict[str, Any]:
    """How a file is written, as far as its name does not tell."""
    layout, written = file.layout, dict[str, Any]()
    nulls = list(dict.fromkeys(word for column in file.columns for word in column.null_words))
    if layout.kind == "text":
        by_name = "\t" if inner_suffix(file.path) in TABS else ","
        if layout.delimiter != by_name or kind_of(file.path) is None:
            written["delimiter"] = layout.delimiter
        if layout.encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
            written["encoding"] = layout.encoding
        if not layout.header:
            written |= {"header": False, "columns": [column.name for column in file.columns]}
        if not layout.quoting and by_name == ",":
            written["quoting"] = "none"
    return written | ({"nulls": nulls} if nulls else {})


def _used(draft: Draft) -> Iterator[str]:
    """The files that joins name."""
    for path, choice in draft.choices():
        if path.endswith(".joins"):
            yield from (join[FILE] for join in choice.value)
