"""Choices: what a key of the draft is to be, why, and whether a person has to say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from headrace.datasets.table.guess import ColumnGuess

UNKNOWN: Final = "?"  # stands for a value that a person must say


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of a key, as it is written in the file, and the reason for it."""

    value: Any
    why: str = ""
    question: str = ""  # to a person, where the value, or one in it, is not known
    options: tuple[str, ...] = ()  # answers that are likely


Section = dict[str, Choice]  # by key


@dataclass(slots=True)
class Draft:
    """The sections of an application file: the keys of one, or its only value."""

    sections: dict[str, Section | Choice] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # on what was left out

    def choices(self) -> Iterator[tuple[str, Choice]]:
        """Each choice with its path, such as events.user_id."""
        for name, section in self.sections.items():
            if isinstance(section, Choice):
                yield name, section
            else:
                yield from ((f"{name}.{key}", choice) for key, choice in section.items())

    def open(self) -> list[tuple[str, Choice]]:
        """The choices that a person has to make, each with the path of the value that is open."""
        return [
            (f"{path}{inner}", choice)
            for path, choice in self.choices()
            if choice.question
            for inner in _unknown(choice.value)
        ]

    def answer(self, path: str, value: Any, why: str = "as you say") -> bool:
        """Put a person's word in the place of a guess: that of a key, or of a key in its value.
        Returns whether the draft has such a section, or such a value."""
        name, _, rest = path.partition(".")
        key, _, inner = rest.partition(".")
        section = self.sections.get(name)
        if not rest:
            self.sections[name] = Choice(value, why)
        elif isinstance(section, dict) and not (inner and key not in section):
            before = section.get(key, Choice({}))
            section[key] = Choice(_put(before.value, inner, value) if inner else value, why)
            if any(_unknown(section[key].value)):
                section[key] = replace(before, value=section[key].value)
        else:
            return False
        return True


def column_reason(column: ColumnGuess, why: str) -> str:
    """A reason, and a few of the column's values."""
    shown = ", ".join(_short(text) for text in column.samples[:3])
    return f"{why}: {shown}" if shown else why


def _put(value: Any, path: str, inner: Any) -> Any:
    """The value with another one at this path."""
    key, _, rest = path.partition(".")
    keys = value if isinstance(value, dict) else {}
    return {**keys, key: _put(keys.get(key), rest, inner) if rest else inner}


def _unknown(value: Any) -> Iterator[str]:
    """The paths within a value of what is not known, such as .currency; empty for all of it."""
    if isinstance(value, dict):
        yield from (f".{key}{rest}" for key, inner in value.items() for rest in _unknown(inner))
    elif value == UNKNOWN:
        yield ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 24 else f"{line[:21]}..."
