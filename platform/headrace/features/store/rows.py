"""The rows of N entities as columns of their view, whatever schemas the rows have.

N entities   F float32 columns of the view, in its order
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.errors import FeatureError, ServiceError
from headrace.features.store.cell import codec
from headrace.features.store.keys import PackedView
from headrace.features.store.row import (
    NO_POSITION,
    Block,
    Bools,
    Ints,
    heads_of,
    schema_hash,
    translate,
)
from headrace.features.store.schema import FLOAT32, NUMBERS, Column, Schema

log = logging.getLogger(__name__)

Places = NDArray[np.intp]  # which of the N rows


class Rows:
    """The columns of N rows; `found_N` is False where there is no row or it has expired.

    A row of an earlier schema has no value in columns that it did not have, or had with another
    type. Arrays are the rows' own memory: copy what is to be kept while they are not.
    """

    def __init__(
        self,
        view: PackedView,
        block: Block,
        found_N: Bools,
        earlier: Sequence[tuple[Schema, Places]],
        now_us: int,
    ) -> None:
        self.view, self.found_N = view, found_N
        self._block, self._earlier = block, earlier
        self.event_time_us_N: Ints = block.head_N["event_time_us"].copy()
        self.expired_N: Bools = np.zeros(len(found_N), np.bool_)
        if view.ttl_us:
            self.expired_N = found_N & (now_us - self.event_time_us_N > view.ttl_us)
            self.found_N = found_N & ~self.expired_N
            block.head_N[self.expired_N] = 0

    def __len__(self) -> int:
        return len(self.found_N)

    @property
    def event_time_ms_N(self) -> Ints:
        """Event times in ms, also of expired rows; 0 where there is no row."""
        return self.event_time_us_N // 1_000

    @property
    def position_N(self) -> Ints:
        """The position in the event log that each row includes; -1 where it has none."""
        return np.where(self.found_N, self._block.head_N["position"], NO_POSITION)

    @property
    def partition_N(self) -> Ints:
        """The partition that the position is of; -1 where it has none."""
        return np.where(self.found_N, self._block.head_N["partition"], NO_POSITION)

    def floats(self) -> tuple[NDArray[np.float32], Bools]:
        """[N, F] values, 0 where there is none, and [N, F] True where there is one."""
        if FLOAT32 not in self.view.schema.numbers:
            return np.zeros((len(self), 0), np.float32), np.zeros((len(self), 0), np.bool_)
        present_NF = self._block.present_NC[:, self.view.schema.float_places]
        return self._block.head_N[FLOAT32], present_NF

    def numbers(self, name: str) -> tuple[NDArray[Any], Bools]:
        """[N] values of a fixed-width column, 0 where there is none, and [N] True where one is."""
        column = self._column(name)
        if column.type not in NUMBERS:
            raise FeatureError(f"feature {name!r} is a {column.type}: read it with values()")
        return self._block.numbers_N(name), self._block.present_N(name)

    def cells(self, name: str) -> list[bytes | None]:
        """A column of the variable block as encoded cells, None where there is no value."""
        column = self._column(name)
        if column.type in NUMBERS:
            raise FeatureError(f"feature {name!r} is a {column.type}: read it with numbers()")
        present = self._block.present_N(name).tolist()
        pairs = zip(self._block.cells(name), present, strict=True)
        return [cell if there else None for cell, there in pairs]

    def values(self, name: str) -> list[Any]:
        """A column of the variable block as texts, bytes, lists or arrays; None without a value."""
        cells, decode = self.cells(name), codec(self._column(name).type).decode
        return [None if cell is None else decode(cell) for cell in cells]

    def known_N(self, name: str) -> Bools:
        """[N] True where there is a row and its schema has the column, with a value or a null."""
        column, known_N = self._column(name), self.found_N.copy()
        for schema, places in self._earlier:
            if column not in schema.columns:
                known_N[places] = False
        return known_N

    def _column(self, name: str) -> Column:
        schema = self.view.schema
        if name not in schema.index:
            names = ", ".join(schema.index)
            raise FeatureError(f"view {self.view.name!r} has no feature {name!r}, it has {names}")
        return schema.columns[schema.index[name]]


class UnknownSchema(Exception):
    """A row has a schema that has to be looked up first."""


def decode_rows(
    view: PackedView,
    payloads: Sequence[bytes | None],
    schemas: Mapping[int, Schema],
    now_us: int,
    lost: bool = False,
) -> Rows:
    """N rows as columns. Where a schema is neither the view's nor in `schemas`, raises
    `UnknownSchema`, or, if it is `lost`, takes its rows as missing, with a warning."""
    no_row, earlier = view.schema.no_row, list[tuple[Schema, Places]]()
    rows: Sequence[bytes] = payloads  # type: ignore[assignment]
    try:  # to look for None first would take longer than the decoding
        head_N = heads_of(view.schema, rows)
    except TypeError:
        rows = [payload or no_row for payload in payloads]
        head_N = heads_of(view.schema, rows)
    if head_N is None:
        rows, earlier = _translated(view, [row or no_row for row in rows], schemas, lost)
        head_N = heads_of(view.schema, rows)
    if head_N is None:
        raise ServiceError(f"a row of {view.key.decode()} in Redis is cut off: write it anew")
    found_N = np.ones(len(rows), np.bool_)
    if rows is not payloads:
        like_none_K = np.flatnonzero(head_N["event_time_us"] == 0)  # far fewer than all rows
        found_N[like_none_K] = [rows[place] is not no_row for place in like_none_K.tolist()]
    return Rows(view, Block(view.schema, head_N, rows), found_N, earlier, now_us)


def _translated(
    view: PackedView, current: list[bytes], schemas: Mapping[int, Schema], lost: bool
) -> tuple[list[bytes], list[tuple[Schema, Places]]]:
    """All as rows of the view's schema, `no_row` where theirs is lost, and who had which other."""
    others: dict[int, list[int]] = {}
    for place, payload in enumerate(current):
        if not payload.startswith(view.schema.key):
            others.setdefault(schema_hash(payload), []).append(place)
    earlier = []
    for number, places in others.items():
        schema = schemas.get(number)
        if schema is None and not lost:
            raise UnknownSchema
        if schema is None:
            log.warning(
                "%d rows of view %s have schema %016x, which %s does not describe: they count as "
                "missing; materialize or push them anew",
                *(len(places), view.name, number, view.key.decode()),
            )
            rows = [view.schema.no_row] * len(places)
        else:
            rows = translate(schema, view.schema, [current[place] for place in places])
            earlier.append((schema, np.array(places, np.intp)))
        for place, row in zip(places, rows, strict=True):
            current[place] = row
    return current, earlier
