"""Schemas: which columns a row has, and so where each of them lies in its bytes.

C columns of a view   K columns of one numpy type   V columns of the variable block
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

# Feast's value types that have a fixed width, as numpy's. Times are seconds since the epoch.
NUMBERS: Final = {
    "FLOAT": "<f4",
    "DOUBLE": "<f8",
    "INT32": "<i4",
    "INT64": "<i8",
    "UNIX_TIMESTAMP": "<i8",
    "BOOL": "|b1",
}
FLOAT32: Final = NUMBERS["FLOAT"]

_FORMAT = "packed-1"  # part of every hash: a row of another layout has another schema


@dataclass(frozen=True, slots=True)
class Column:
    """A feature of a view; `type` is the name of Feast's value type, as in `FLOAT_LIST`."""

    name: str
    type: str


@dataclass(frozen=True)
class Schema:
    """The columns of a view's rows, in the view's order."""

    columns: tuple[Column, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each column by name."""
        return {column.name: place for place, column in enumerate(self.columns)}

    @cached_property
    def numbers(self) -> dict[str, tuple[int, ...]]:
        """The places of the columns of each numpy type that occurs, K each."""
        groups: dict[str, list[int]] = {}
        for place, column in enumerate(self.columns):
            if column.type in NUMBERS:
                groups.setdefault(NUMBERS[column.type], []).append(place)
        return {numpy_type: tuple(places) for numpy_type, places in sorted(groups.items())}

    @cached_property
    def float_places(self) -> slice | list[int]:
        """The places of the float32 columns; a slice, which numpy takes faster, if they adjoin."""
        places = self.numbers.get(FLOAT32, ())
        adjoining = slice(places[0], places[-1] + 1) if places else slice(0, 0)
        return adjoining if adjoining.stop - adjoining.start == len(places) else list(places)

    @cached_property
    def variable(self) -> tuple[int, ...]:
        """The places of the columns of the variable block, V."""
        return tuple(n for n, column in enumerate(self.columns) if column.type not in NUMBERS)

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Everything of a row before its variable block, aligned as C aligns a struct."""
        fields: list[Any] = [
            ("schema", "<u8"),
            ("event_time_us", "<i8"),
            ("position", "<i8"),
            ("partition", "<i4"),
            ("present", "u1", ((len(self.columns) + 7) // 8,)),
        ]
        fields += [(kind, kind, (len(places),)) for kind, places in self.numbers.items()]
        fields += [("ends", "<u4", (len(self.variable),))] if self.variable else []
        return np.dtype(fields, align=True)

    @cached_property
    def slot(self) -> dict[str, int]:
        """The place of each column among those of its numpy type, or of the variable block."""
        groups = (*self.numbers.values(), self.variable)
        return {self.columns[n].name: slot for places in groups for slot, n in enumerate(places)}

    @cached_property
    def key(self) -> bytes:
        """The first bytes of every row with this schema."""
        return hashlib.blake2b(self.to_json(), digest_size=8).digest()

    @cached_property
    def no_row(self) -> bytes:
        """A row of nothing: no event time, and a null in every column."""
        return self.key + bytes(self.dtype.itemsize - len(self.key))

    @cached_property
    def hash(self) -> int:
        """`key` as the number in the rows' headers."""
        return int.from_bytes(self.key, "little")

    def to_json(self) -> bytes:
        """The descriptor that readers of a later schema decode these rows by."""
        columns = [[column.name, column.type] for column in self.columns]
        return json.dumps([_FORMAT, columns], separators=(",", ":")).encode()

    @staticmethod
    def from_json(text: bytes) -> Schema:
        """The schema that `to_json` described."""
        _, columns = json.loads(text)
        return Schema(tuple(Column(name, kind) for name, kind in columns))
