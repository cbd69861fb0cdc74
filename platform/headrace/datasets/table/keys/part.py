"""Parts of `headrace.yaml`: structs that are read strictly and know which columns they name.

A value that may be a plain column name or a few keys is a union of `Column` and one part.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

# The description tells it from other texts.
Column = Annotated[str, msgspec.Meta(min_length=1, description="a column of the user's file")]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parent of everything in the mapping: immutable, and strict about its keys."""

    @classmethod
    def misspelt(cls, document: dict[Any, Any]) -> Iterator[tuple[str, str]]:
        """(key, problem) of what can be said of a document before its values are right."""
        return iter(())

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """(key, problem) of each value that does not go with the others."""
        return iter(())

    def inner_columns(self) -> Iterator[str]:
        """The columns that its texts name in some other way than by a `Column`."""
        return iter(())


def columns(part: Part) -> Iterator[tuple[str, str]]:
    """(key, column) of each column of the user's file that this part reads."""
    for field in msgspec.structs.fields(part):
        for column in _columns_in(getattr(part, field.name), field.type):
            yield field.name, column


def problems_of(kind: type[Part], document: Any, path: str) -> list[str]:
    """What is wrong with `document` as a `kind`, each under its key's path."""
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(document, dict):
        found = f"got {document!r}, expected the keys {', '.join(known)}"
        return [f"{path}: {found}" if path else found]
    prefix = f"{path}." if path else ""
    unknown = f"unknown key, known here: {', '.join(known)}"
    problems = [f"{prefix}{key}: {unknown}" for key in document if key not in known]
    for name, field in known.items():
        value = document.get(name)
        if value is not None:
            problems += _problems_of_value(field.type, value, prefix + name)
        elif field.required:
            problems.append(f"{prefix}{name}: missing")
    problems += [f"{prefix}{key}: {problem}" for key, problem in kind.misspelt(document)]
    if not problems:
        try:
            part = msgspec.convert(document, kind)
        except msgspec.ValidationError as error:  # a key that is there without a value
            return [f"{path}: {error}"]
        problems = [f"{prefix}{key}: {problem}" for key, problem in part.contradictions()]
    return problems


def _problems_of_value(kind: Any, value: Any, path: str) -> list[str]:
    choices = typing.get_args(kind) or (kind,)
    part = next((choice for choice in choices if _is_part(choice)), None)
    if typing.get_origin(kind) is tuple and part is not None and isinstance(value, list):
        each = [problems_of(part, one, f"{path}[{place}]") for place, one in enumerate(value)]
        return [problem for problems in each for problem in problems]
    if part is not None and (isinstance(value, dict) or not _plain_is_allowed(choices)):
        return problems_of(part, value, path)
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [f"{path}: got {value!r}: {error}"]
    return []


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)


def _plain_is_allowed(choices: tuple[Any, ...]) -> bool:
    return any(getattr(choice, "__origin__", choice) is str for choice in choices)


def _columns_in(value: Any, kind: Any) -> Iterator[str]:
    """The columns in a value of this type: what is a `Column`, and what parts name."""
    if isinstance(value, Part):
        yield from (column for _, column in columns(value))
        yield from value.inner_columns()
    elif isinstance(value, str) and (kind == Column or Column in typing.get_args(kind)):
        yield value
    elif isinstance(value, tuple | dict):
        inner = typing.get_args(kind)[0 if isinstance(value, tuple) else 1]
        for one in value.values() if isinstance(value, dict) else value:
            yield from _columns_in(one, inner)
