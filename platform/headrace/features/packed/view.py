"""Views: where the rows of a feature view lie in Redis, and what they hold.

N rows
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from urllib.parse import quote

from headrace.errors import FeatureError
from headrace.features.packed.schema import Schema

Id = str | int | bytes


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
        return f"{_quoted(self.project)}/{_quoted(self.name)}".encode()

    def row_keys(self, columns: Sequence[Sequence[Id]]) -> list[bytes]:
        """N keys, from N values of each join key in the order of `join_keys`."""
        names = [f"{_quoted(name)}=".encode() for name in self.join_keys]
        prefix = self.key + b"/" + names[0]
        if len(columns) == 1:
            return [prefix + value for value in _encoded(columns[0])]
        escaped = [map(_escaped, _encoded(column)) for column in columns]
        rows = zip(*escaped, strict=True)
        first, *others = names
        separators = [self.key + b"/" + first, *(b"," + name for name in others)]
        return [b"".join(chain(*zip(separators, row, strict=True))) for row in rows]


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _escaped(value: bytes) -> bytes:
    return value.replace(b"%", b"%25").replace(b",", b"%2C")


def _encoded(values: Iterable[Id]) -> list[bytes]:
    """Ids as bytes; raises `FeatureError` for what cannot be one."""
    try:
        return [value.encode() for value in values]  # type: ignore[union-attr]
    except AttributeError:
        return [_id_bytes(value) for value in values]


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
