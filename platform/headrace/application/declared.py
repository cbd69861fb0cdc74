"""Declared inputs: fields of a request's context, and attributes of items that are numbers.

context: {device: word, hour: number, basket: {kind: number, log: true}}
attributes: {duration: {log: true}, price: {}}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from headrace.application.action import NAME
from headrace.application.document import shown
from headrace.application.reading import keys_of

WORD: Final = "word"
NUMBER: Final = "number"
MAX_FIELDS: Final = 16
MAX_WORD: Final = 256  # characters
MAX_NUMBER: Final = 1e4  # a feature beyond it would spoil the ranker's scale
MAX_LOGGED: Final = 1e15
NOT_FIELDS: Final = ("surface", "action", "field")  # what else rows of features name so

Length = Annotated[int, msgspec.Meta(ge=1, le=MAX_WORD)]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request's context, or an attribute of an item that is a number."""

    name: str
    kind: Literal["word", "number"] = "number"
    max_length: int = 64  # of a word, in characters
    log: bool = False  # a number is read as its logarithm: sign(x) log(1 + |x|)

    @property
    def greatest(self) -> float:
        """The greatest number that it may be, and its negative the least."""
        return MAX_LOGGED if self.log else MAX_NUMBER


def context_of(section: object, problems: list[str]) -> tuple[Field, ...]:
    """The fields of the section `context`."""
    kinds = {"kind": Literal["word", "number"], "max_length": Length, "log": bool}
    fields = []
    for name, keys in _rows("context", section, problems):
        given = {"kind": keys} if isinstance(keys, str) else keys
        found = keys_of(kinds, given, f"context.{name}", problems)
        if "kind" not in found and isinstance(given, dict) and "kind" not in given:
            problems.append(f"context.{name}.kind: missing, expected {WORD} or {NUMBER}")
        for key, of in (("max_length", WORD), ("log", NUMBER)):
            if key in found and found.get("kind") != of:
                problems.append(f"context.{name}.{key}: it is for a {of}")
        fields.append(Field(name, **found))
    return tuple(fields)


def attributes_of(section: object, problems: list[str]) -> tuple[Field, ...]:
    """The numbers of the section `attributes`."""
    return tuple(
        Field(name, **keys_of({"log": bool}, keys, f"attributes.{name}", problems))
        for name, keys in _rows("attributes", section, problems)
    )


def _rows(path: str, section: object, problems: list[str]) -> list[tuple[str, Any]]:
    """The fields of a section by name, with their keys."""
    if section is None:
        return []
    if not isinstance(section, dict):
        problems.append(f"{path}: got {shown(section)}, expected fields by name")
        return []
    if len(section) > MAX_FIELDS:
        problems.append(f"{path}: got {len(section)} fields, expected at most {MAX_FIELDS}")
    wrong = [name for name in section if not _is_name(name)]
    expected = f"expected small letters, digits and _, but not {', '.join(NOT_FIELDS)}"
    problems += [f"{path}: got the name {shown(name)}, {expected}" for name in wrong]
    return [(name, keys) for name, keys in section.items() if name not in wrong]


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(NAME.fullmatch(name)) and name not in NOT_FIELDS
