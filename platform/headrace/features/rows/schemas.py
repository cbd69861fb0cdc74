"""Row schemas: how rows that another feature table wrote become rows of this build's.

Each build describes its table once, beside the rows: per kind of entity the accumulators in the
order of their states, which lie in a row without gaps. Of a row of another table an accumulator
that both have keeps its state, wherever it lies; one that is new is as before any event, and one
that is gone is dropped.

    N rows   B bytes of a row
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
import numpy as np
from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.state_row import blank_rows, encode_rows, row_dtype
from headrace.features.schema import STATE_SCHEMA, kept_of
from headrace.features.surface_trends import UNVIEWED
from headrace.features.table import LAYOUTS
from headrace.skipped import Skipped

HEADER_BYTES: Final = row_dtype(LAYOUTS[0]).fields["state"][1]  # type: ignore[index]
MAX_BYTES: Final = 1 << 20  # of one accumulator
_CURRENT: Final = STATE_SCHEMA.to_bytes(4, "little")


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """An accumulator of a table: its definition, and the form and size of its state."""

    accumulator: str
    dtype: str
    num_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_BYTES)]


Described = Mapping[str, Sequence[Kept]]  # the accumulators by kind of entity
DescriptionOf = Callable[[int], Described | None]  # by schema
Payload = TypeVar("Payload", bytes, bytes | None)

_decoder = msgspec.json.Decoder(dict[str, tuple[Kept, ...]])


def nothing_described(schema: int) -> Described | None:
    """No table but this build's has written rows."""
    return None


def kept_in(layout: Layout) -> tuple[Kept, ...]:
    """The accumulators of a layout, in the order of their states."""
    return tuple(Kept(*kept) for kept in kept_of(layout))


def encode_description(layouts: Sequence[Layout] = (*LAYOUTS, *UNVIEWED)) -> bytes:
    """The accumulators of these layouts as JSON, for `decode_description`."""
    return msgspec.json.encode({layout.entity: kept_in(layout) for layout in layouts})


def decode_description(payload: bytes) -> Described:
    """The accumulators of a table."""
    return _decoder.decode(payload)


def carry_over(
    payloads: Sequence[Payload], layout: Layout, description_of: DescriptionOf
) -> list[Payload]:
    """The same rows as this build's table has them; None, and rows not described, stay."""
    current = list(payloads)
    others: dict[bytes, list[int]] = {}
    for place, payload in enumerate(payloads):
        if payload and not payload.startswith(_CURRENT):
            others.setdefault(payload[:4], []).append(place)
    for schema, places in others.items():
        described = description_of(int.from_bytes(schema, "little"))
        if described is not None:
            some = [payloads[place] or b"" for place in places]
            rows = _carried(some, layout, described.get(layout.entity, ()))
            for place, row in zip(places, rows, strict=True):
                current[place] = row
    return current


def _carried(payloads: Sequence[bytes], layout: Layout, kept: Sequence[Kept]) -> Sequence[bytes]:
    num_bytes = HEADER_BYTES + sum(one.num_bytes for one in kept)
    if any(len(payload) != num_bytes for payload in payloads):
        return payloads  # not what the description says: refused by whoever decodes them
    old_NB = np.frombuffer(b"".join(payloads), np.uint8).reshape(len(payloads), num_bytes)
    rows_N = blank_rows(layout, len(payloads))
    new_NB = rows_N.view(np.uint8).reshape(len(payloads), -1)
    new_NB[:, 4:HEADER_BYTES] = old_NB[:, 4:HEADER_BYTES]  # all of it but the schema
    places = _places(kept)
    for one, start in _places(kept_in(layout)).items():
        if one in places:
            end, old = start + one.num_bytes, places[one]
            new_NB[:, start:end] = old_NB[:, old : old + one.num_bytes]
    return encode_rows(rows_N)


def _places(kept: Sequence[Kept]) -> dict[Kept, int]:
    """Where in a row the state of each accumulator begins."""
    ends = np.cumsum([one.num_bytes for one in kept]).tolist()
    return {one: HEADER_BYTES + end - one.num_bytes for one, end in zip(kept, ends, strict=True)}


class RowSchemas:
    """The tables that have written rows in a namespace: a hash in Redis, read when one is met."""

    def __init__(self, redis: Redis, namespace: str, skipped: Skipped | None = None) -> None:
        self._redis, self._name = redis, f"{namespace}:row-schemas"
        self._skipped = skipped or Skipped()
        self._described: dict[int, Described] = {}

    def remember(self) -> None:
        """Describe this build's table; to be done before its first row is written."""

        def write() -> None:
            self._redis.hset(self._name, f"{STATE_SCHEMA:08x}", encode_description())

        write_key(self._redis, self._name, write, self._skipped)

    def description(self, schema: int) -> Described | None:
        """The accumulators of a table, None if it was never described here."""
        if schema not in self._described:
            field = f"{schema:08x}"

            def read() -> bytes | None:
                found: bytes | None = self._redis.hget(self._name, field)
                return found

            payload = read_key(self._name, read, None, self._skipped)
            if payload is None:
                return None
            try:
                self._described[schema] = decode_description(payload)
            except ValueError as error:  # what msgspec raises, too
                self._skipped.add("row schemas", "no description", f"{self._name} {field}: {error}")
                return None
        return self._described[schema]
