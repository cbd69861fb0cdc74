"""Rows of a view as columns, whatever schemas they were written under.

N rows   F float32 columns of the view, in its order
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.errors import FeatureError
from headrace.features.packed.cell import codec
from headrace.features.packed.row import NO_POSITION, Block, Bools, Ints, heads_of, schema_hash
from headrace.features.packed.schema import FLOAT32, NUMBERS, Column, Schema
from headrace.features.packed.view import PackedView

log = logging.getLogger(__name__)

Places = slice | NDArray[np.intp]  # which of the N rows


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows that share a schema."""

    places: Places
    block: Block


class Rows:
    """What was read of N entities. A row that is not there or has expired is not in `found_N`.

    Columns are those of the view as it is now. A row of an earlier schema has no value in those
    that it did not have, or had with another type.
    """

    def __init__(self, view: PackedView, num_rows: int, parts: list[_Part], now_us: int) -> None:
        self.view, self._num_rows = view, num_rows
        self.event_time_us_N = self._header("event_time_us", 0, parts)
        self.found_N: Bools = np.zeros(num_rows, np.bool_)
        self.expired_N: Bools = np.zeros(num_rows, np.bool_)
        for part in parts:
            self.found_N[part.places] = True
        if view.ttl_us:
            self.expired_N = self.found_N & (now_us - self.event_time_us_N > view.ttl_us)
        if self.expired_N.any():
            self.found_N &= ~self.expired_N
            parts = [_without(part, self.expired_N) for part in parts]
        self._parts = parts

    def __len__(self) -> int:
        return self._num_rows

    @property
    def event_time_ms_N(self) -> Ints:
        """Event times in ms; 0 where there is no row."""
        return self.event_time_us_N // 1_000

    @property
    def position_N(self) -> Ints:
        """The position in the event log that each row includes; -1 where it has none."""
        return self._header("position", NO_POSITION, self._parts)

    @property
    def partition_N(self) -> Ints:
        """The partition that the position is of; -1 where it has none."""
        return self._header("partition", NO_POSITION, self._parts)

    def floats(self) -> tuple[NDArray[np.float32], Bools]:
        """[N, F] values, 0 where there is none, and [N, F] True where there is one."""
        places = self.view.schema.numbers.get(FLOAT32, ())
        if len(self._parts) == 1 and self._parts[0].block.schema == self.view.schema and places:
            block = self._parts[0].block
            present_NF = block.present_NC[:, places]
            if self._parts[0].places == slice(None):
                return block.head_N[FLOAT32], present_NF
        names = [self.view.schema.columns[place].name for place in places]
        values_NF = np.zeros((len(self), len(names)), np.float32)
        present_NF = np.zeros((len(self), len(names)), np.bool_)
        for slot, name in enumerate(names):
            values_NF[:, slot], present_NF[:, slot] = self.numbers(name)
        return values_NF, present_NF

    def numbers(self, name: str) -> tuple[NDArray[Any], Bools]:
        """[N] values of a fixed-width column, 0 where there is none, and [N] True where one is."""
        column = self._column(name)
        values_N = np.zeros(len(self), NUMBERS[column.type])
        present_N = np.zeros(len(self), np.bool_)
        for part in self._with(column):
            values_N[part.places] = part.block.numbers_N(name)
            present_N[part.places] = part.block.present_N(name)
        return values_N, present_N

    def cells(self, name: str) -> list[bytes | None]:
        """A column of the variable block as encoded cells, None where there is no value."""
        column = self._column(name)
        cells_N: NDArray[Any] = np.full(len(self), None, object)
        for part in self._with(column):
            present_N = part.block.present_N(name).tolist()
            found = zip(part.block.cells(name), present_N, strict=True)
            cells_N[part.places] = _objects([cell if there else None for cell, there in found])
        return list(cells_N)

    def values(self, name: str) -> list[Any]:
        """A column of the variable block as texts, bytes, lists or arrays; None without a value."""
        decode = codec(self._column(name).type).decode
        return [None if cell is None else decode(cell) for cell in self.cells(name)]

    def known_N(self, name: str) -> Bools:
        """[N] True where there is a row and its schema has the column, with a value or a null."""
        known_N = np.zeros(len(self), np.bool_)
        for part in self._with(self._column(name)):
            known_N[part.places] = True
        return known_N

    def _column(self, name: str) -> Column:
        schema = self.view.schema
        if name not in schema.index:
            names = ", ".join(schema.index)
            raise FeatureError(f"view {self.view.name!r} has no feature {name!r}, it has {names}")
        return schema.columns[schema.index[name]]

    def _with(self, column: Column) -> Iterator[_Part]:
        for part in self._parts:
            schema = part.block.schema
            place = schema.index.get(column.name)
            if place is not None and schema.columns[place] == column:
                yield part

    def _header(self, field: str, missing: int, parts: Sequence[_Part]) -> Ints:
        values_N = np.full(self._num_rows, missing, np.int64)
        for part in parts:
            values_N[part.places] = part.block.head_N[field]
        return values_N


def decode_rows(
    view: PackedView,
    payloads: Sequence[bytes | None],
    schemas: Mapping[int, Schema],
    now_us: int,
) -> Rows:
    """N rows as columns. A row whose schema is neither the view's nor in `schemas` counts as
    missing, with a warning: its descriptor was lost."""
    found = [payload for payload in payloads if payload is not None]
    places: Places = slice(None)
    if len(found) < len(payloads):
        places = np.array([n for n, p in enumerate(payloads) if p is not None], np.intp)
    head_N = heads_of(view.schema, found)
    if head_N is not None:
        return Rows(view, len(payloads), [_Part(places, Block(view.schema, head_N, found))], now_us)
    parts = [
        _part(schema, places, payloads) for places, schema in _by_schema(view, payloads, schemas)
    ]
    return Rows(view, len(payloads), parts, now_us)


def unknown_schemas(
    view: PackedView, payloads: Sequence[bytes | None], schemas: Mapping[int, Schema]
) -> bool:
    """Whether a row has a schema that has to be looked up first."""
    found = {payload[:8] for payload in payloads if payload is not None} - {view.schema.key}
    return any(int.from_bytes(key, "little") not in schemas for key in found)


def _by_schema(
    view: PackedView, payloads: Sequence[bytes | None], schemas: Mapping[int, Schema]
) -> Iterator[tuple[NDArray[np.intp], Schema]]:
    grouped: dict[int, list[int]] = {}
    for place, payload in enumerate(payloads):
        if payload is not None:
            grouped.setdefault(schema_hash(payload), []).append(place)
    known = {**schemas, view.schema.hash: view.schema}
    for number, places in grouped.items():
        if number in known:
            yield np.array(places, np.intp), known[number]
        else:
            log.warning(
                "%d rows of view %s have schema %016x, which %s does not describe: they count as "
                "missing; materialize or push them anew",
                *(len(places), view.name, number, view.key.decode()),
            )


def _part(schema: Schema, places: NDArray[np.intp], payloads: Sequence[bytes | None]) -> _Part:
    some = [payload for place in places if (payload := payloads[place]) is not None]
    head_N = heads_of(schema, some)
    assert head_N is not None, "grouped by schema"
    return _Part(places, Block(schema, head_N, some))


def _without(part: _Part, out_N: Bools) -> _Part:
    keep = np.flatnonzero(~out_N[part.places])
    places = np.arange(len(out_N))[part.places][keep]
    block = part.block
    some = [block.payloads[place] for place in keep.tolist()]
    return _Part(places, Block(block.schema, block.head_N[keep], some))


def _objects(items: Sequence[Any]) -> NDArray[Any]:
    """The items as an array of objects, also where they are sequences."""
    array_N = np.empty(len(items), object)
    array_N[:] = items
    return array_N
