"""Columns of packed rows: many entities as arrays, in one round trip.

The online store uses it. It reads and writes the same rows as Feast's API, without a protobuf or a
table on the way.

N entities   F float32 features of a view, in its order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.access.redis import limit_waits
from headrace.clock import now_ms
from headrace.errors import FeatureError
from headrace.features.store.cell import as_numbers, encode_cells
from headrace.features.store.keys import Id, Key, PackedView
from headrace.features.store.last_items import to_front
from headrace.features.store.round_trip import (
    Command,
    Read,
    WritePolicy,
    fetch_beside,
    store,
    write_commands,
)
from headrace.features.store.row import Bools, Ints, Stamp, encode_rows
from headrace.features.store.rows import Rows
from headrace.features.store.schema import FLOAT32, NUMBERS, Schema
from headrace.features.store.seen_sketch import USER_SEEN, appended

Ids = Sequence[Id] | Sequence[tuple[Id, ...]]  # a tuple where a view has several join keys, sorted


@dataclass(frozen=True, slots=True)
class Expiry:
    """Which of N rows Redis is to delete so many seconds after they were written."""

    expires_N: Bools
    ttl_s: int


class ColumnStore:
    """Columns of the packed rows of some views.

    Views are named, and ids are text, integers or bytes. An entity that is not known is no error:
    it has no value anywhere. Raises `FeatureError` for a view or feature that is not known and for
    a value that does not fit, `StoreUnavailable` where Redis does not do its part.
    """

    def __init__(
        self,
        client: Any,
        views: Mapping[str, PackedView],
        clock: Callable[[], int] = now_ms,
        key_ttl_s: int = 0,
    ) -> None:
        self._client, self._views, self._clock = client, dict(views), clock
        self._policy = WritePolicy(newer_only=False, key_ttl_s=key_ttl_s)
        self._schemas: dict[int, Schema] = {}

    def limit_waits(self, timeout_s: float) -> None:
        """Take an answer of Redis that takes longer for none; to be said before the first read."""
        limit_waits(self._client, timeout_s)

    def read_arrays(self, view: str, ids: Ids) -> tuple[NDArray[np.float32], Bools, Ints]:
        """[N, F] values (0 where missing), [N, F] True where present, [N] event times in ms."""
        (rows,) = self.read([(view, ids)])
        return *rows.floats(), rows.event_time_ms_N

    def read(self, requests: Sequence[tuple[str, Ids]]) -> list[Rows]:
        """The rows of all these views in one round trip."""
        return self.read_beside(requests, ())[0]

    def read_beside(
        self, requests: Sequence[tuple[str, Ids]], keys: Sequence[Key]
    ) -> tuple[list[Rows], list[bytes | None]]:
        """The same, and the values of keys that are no rows, in the same round trip."""
        reads = []
        for name, ids in requests:
            view = self._view(name)
            reads.append(Read(view, _row_keys(view, ids)))
        return fetch_beside(self._client, reads, keys, self._schemas, self._clock() * 1_000)

    def write(
        self,
        view: str,
        ids: Ids,
        floats_NF: NDArray[np.float32],
        columns: Mapping[str, Sequence[Any] | NDArray[Any]],
        stamp: Stamp,
        expiry: Expiry | None = None,
    ) -> None:
        """Replace N rows, in one round trip and whatever their event times are.

        `columns` has the features that are not float32, by name; None is a null, and so is a
        feature that is not named. One writer per entity keeps rows in order.
        """
        target = self._view(view)
        payloads = encode_columns(target, floats_NF, columns, stamp)
        if len(ids) != len(payloads):
            raise FeatureError(f"{len(ids)} ids for {len(payloads)} rows of view {view!r}")
        keys = _row_keys(target, ids)
        if expiry is None or not expiry.expires_N.any():
            commands = write_commands(self._client, target, keys, payloads, self._policy)
        else:
            commands = self._expiring(target, keys, payloads, expiry)
        store(self._client, commands)

    def add_to_lists(
        self, name: str, keys: Sequence[str], payloads: Sequence[bytes], expiry: Expiry
    ) -> None:
        """Put entries to the front of N lists (`last_items`), or to the end of N sketches
        (`seen_sketch`), in one round trip."""
        commands: list[Command] = []
        for expires in (False, True):
            places = np.flatnonzero(expiry.expires_N == expires).tolist()
            lists = [keys[place] for place in places], [payloads[place] for place in places]
            ttl_s = self._ttl_s(expiry) if expires else self._policy.key_ttl_s
            if name == USER_SEEN:
                commands += appended(self._client, *lists, ttl_s)
            else:
                commands += to_front(self._client, name, *lists, ttl_s)
        store(self._client, commands)

    def delete(self, view: str, ids: Ids) -> None:
        """Delete the rows of these entities, in one round trip."""
        keys = _row_keys(self._view(view), ids)
        store(self._client, [("UNLINK", key) for key in keys])

    def _expiring(
        self, view: PackedView, keys: Sequence[Key], payloads: Sequence[bytes], expiry: Expiry
    ) -> list[Command]:
        """The commands that write rows of which some expire."""
        commands: list[Command] = []
        expiring = WritePolicy(False, self._ttl_s(expiry))
        for expires, policy in ((False, self._policy), (True, expiring)):
            places = np.flatnonzero(expiry.expires_N == expires).tolist()
            rows = [keys[place] for place in places], [payloads[place] for place in places]
            commands += write_commands(self._client, view, *rows, policy)
        return commands

    def _ttl_s(self, expiry: Expiry) -> int:
        """The seconds after which what expires is deleted."""
        return min(expiry.ttl_s, self._policy.key_ttl_s or expiry.ttl_s)

    def _view(self, name: str) -> PackedView:
        if name not in self._views:
            raise FeatureError(
                f"there is no feature view {name!r}, there are {sorted(self._views)}: "
                "is its definition applied (headrace materialize, feast apply)?"
            )
        return self._views[name]


def encode_columns(
    view: PackedView,
    floats_NF: NDArray[np.float32],
    columns: Mapping[str, Sequence[Any] | NDArray[Any]],
    stamp: Stamp,
) -> list[bytes]:
    """N rows as bytes; raises `FeatureError` for columns or values that do not fit the view."""
    schema, num_rows = view.schema, len(stamp.event_time_us_N)
    float_places = schema.numbers.get(FLOAT32, ())
    if floats_NF.shape != (num_rows, len(float_places)):
        raise FeatureError(
            f"floats of shape {floats_NF.shape} for {num_rows} rows of view {view.name!r}, which "
            f"has {len(float_places)} float32 features: give one column for each"
        )
    for name, column in columns.items():
        if len(column) != num_rows:
            raise FeatureError(f"feature {name!r} has {len(column)} values for {num_rows} rows")
    by_place = {_place(view, name): column for name, column in columns.items()}
    nulls = [None] * num_rows
    present_NC = np.zeros((num_rows, len(schema.columns)), np.bool_)
    present_NC[:, float_places] = True
    for place, column in by_place.items():
        present_NC[:, place] = _are_given(column)
    numbers: dict[str, NDArray[Any]] = {FLOAT32: floats_NF}
    for kind, places in schema.numbers.items():
        if kind != FLOAT32:
            given = [_numbers(view, n, by_place.get(n, nulls)) for n in places]
            numbers[kind] = np.array(given, kind).T
    cells = [
        encode_cells(schema.columns[n].name, schema.columns[n].type, list(by_place.get(n, nulls)))
        for n in schema.variable
    ]
    return encode_rows(schema, stamp, present_NC, numbers, cells)


def _row_keys(view: PackedView, ids: Ids) -> list[Key]:
    if len(view.join_keys) == 1:
        return view.row_keys([ids])  # type: ignore[list-item]
    return view.row_keys([list(column) for column in zip(*ids, strict=True)])


def _place(view: PackedView, name: str) -> int:
    place = view.schema.index.get(name)
    if place is None or view.schema.columns[place].type == "FLOAT":
        others = [column.name for column in view.schema.columns if column.type != "FLOAT"]
        raise FeatureError(
            f"{name!r} is not one of the features of view {view.name!r} that are written by name: "
            f"{others}; float32 features are the columns of the array"
        )
    return place


def _are_given(column: Sequence[Any] | NDArray[Any]) -> Bools | bool:
    if isinstance(column, np.ndarray) and column.dtype != object:
        return True
    return np.array([value is not None for value in column], np.bool_)


def _numbers(view: PackedView, place: int, column: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    """A fixed-width column, 0 for a null."""
    name, value_type = view.schema.columns[place].name, view.schema.columns[place].type
    if not isinstance(column, np.ndarray):
        zero = np.zeros((), NUMBERS[value_type])[()]
        column = [zero if value is None else value for value in column]
    try:
        return as_numbers(column, NUMBERS[value_type])
    except (TypeError, ValueError) as error:
        raise FeatureError(
            f"feature {name!r} is given as {np.asarray(column).dtype}, expected {value_type}: "
            "write values of the type that the feature view declares"
        ) from error
