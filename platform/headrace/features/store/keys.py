"""Packed views: the Redis keys of a feature view's rows, and their schema.

N rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from urllib.parse import quote

from headrace.errors import FeatureError
from headrace.features.store.schema import Schema

Id = str | int | bytes
Key = str | bytes


@dataclass(frozen=True)
class PackedView:
    """One feature view of one project; `ttl_us` 0 means that its rows never expire."""

    project: str
    name: str
    join_keys: tuple[str, ...]  # sorted
    schema: Schema
    ttl_us: int = 0

    @cached_property
    def key(self) -> bytes:
        """The hash that describes the schemas of the view's rows."""
        return self.prefix[:-1].encode()

    @cached_property
    def prefix(self) -> str:
        """The common prefix of the keys of all rows."""
        return f"{_quoted(self.project)}/{_quoted(self.name)}/"

    @cached_property
    def labels(self) -> list[str]:
        """The text before the value of each join key in the key of a row."""
        first, *others = [f"{_quoted(name)}=" for name in self.join_keys]
        return [self.prefix + first, *(f",{name}" for name in others)]

    def row_keys(self, columns: Sequence[Sequence[Id]]) -> list[Key]:
        """N keys, from N values of each join key in the order of `join_keys`."""
        if len(columns) == 1:
            return _single(self.labels[0], columns[0])
        labels = [label.encode() for label in self.labels]
        escaped = [map(_escaped, column) for column in columns]
        return [
            b"".join(chain(*zip(labels, row, strict=True))) for row in zip(*escaped, strict=True)
        ]


def _single(prefix: str, values: Sequence[Id]) -> list[Key]:
    try:  # the client encodes text faster than we do
        return [prefix + value for value in values]  # type: ignore[operator]
    except TypeError:
        return [prefix.encode() + _id_bytes(value) for value in values]


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _escaped(value: Id) -> bytes:
    return _id_bytes(value).replace(b"%", b"%25").replace(b",", b"%2C")


def _id_bytes(value: Id) -> bytes:
    match value:
        case str():
            return value.encode()
        case bytes():
            return value
        case bool():
            pass
        case _ if hasattr(value, "__index__"):  # also numpy's integers
            return b"%d" % value
    raise FeatureError(
        f"{value!r} cannot be the value of a join key: expected text, an integer or bytes"
    )
