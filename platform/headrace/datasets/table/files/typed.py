"""Typed cells: the many types of Arrow and Parquet as the few that a mapping reads.

Text, bytes, int64, double, bool, decimal, date, timestamp, lists and structs are left; what is none
of them stays as it is, and `nature` calls it another.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Literal
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

Nature = Literal["text", "bytes", "whole", "number", "boolean", "time", "list", "picture", "other"]
PICTURE_FIELDS: Final = ("bytes", "path")  # the struct in which Hugging Face keeps pictures
UUID_BYTES: Final = 16


def nature(type_: pa.DataType) -> Nature:
    """The nature of the cells that `simple` makes of a column of this type."""
    type_ = _inner(type_)
    tests: list[tuple[Nature, tuple[Any, ...]]] = [
        ("boolean", (pa.types.is_boolean,)),
        ("whole", (pa.types.is_integer,)),
        ("number", (pa.types.is_floating, pa.types.is_decimal)),
        ("time", (pa.types.is_timestamp, pa.types.is_date)),
        ("bytes", (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)),
        ("text", (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)),
        ("text", (pa.types.is_null, pa.types.is_fixed_size_binary)),
        ("list", (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)),
        ("list", (pa.types.is_list_view, pa.types.is_large_list_view)),
    ]
    if pa.types.is_struct(type_) and any(type_.get_field_index(n) >= 0 for n in PICTURE_FIELDS):
        return "picture"
    return next((name for name, told in tests if any(test(type_) for test in told)), "other")


def simple(cells: pa.Array) -> pa.Array:
    """The cells in a type of their nature; values stay what they are."""
    type_ = cells.type
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name == "arrow.uuid":
            return _uuids(cells.storage)
        return simple(cells.storage)
    if pa.types.is_dictionary(type_):
        return simple(cells.dictionary_decode())
    if pa.types.is_run_end_encoded(type_):
        return simple(pc.run_end_decode(cells))
    if pa.types.is_fixed_size_binary(type_):
        return _uuids(cells) if type_.byte_width == UUID_BYTES else cells.cast(pa.binary())
    if pa.types.is_null(type_) or nature(type_) == "text":
        return cells.cast(pa.string())
    if nature(type_) == "bytes":
        return cells.cast(pa.binary())
    return _numeric(cells)


def _numeric(cells: pa.Array) -> pa.Array:
    type_ = cells.type
    if pa.types.is_uint64(type_):
        try:
            return cells.cast(pa.int64())
        except pa.ArrowInvalid:
            return cells.cast(pa.decimal128(20, 0))
    if pa.types.is_integer(type_):
        return cells.cast(pa.int64())
    if pa.types.is_float32(type_):  # 0.1, not the 0.10000000149011612 nearest to it
        return cells.cast(pa.string()).cast(pa.float64())
    if pa.types.is_floating(type_):
        return cells.cast(pa.float64())
    if pa.types.is_date64(type_):
        return cells.cast(pa.date32())
    return cells


def from_python(values: Sequence[Any]) -> pa.Array:
    """Cells of one type out of values of JSON; of several kinds, as their texts."""
    try:
        return simple(pa.array(values))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if value is None else _shown(value) for value in values], pa.string())


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _inner(type_: pa.DataType) -> pa.DataType:
    """The type of the values, where it is wrapped in an encoding or an extension."""
    if isinstance(type_, pa.BaseExtensionType):
        return pa.string() if type_.extension_name == "arrow.uuid" else _inner(type_.storage_type)
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return _inner(type_.value_type)
    return type_


def _uuids(cells: pa.Array) -> pa.Array:
    values = cells.cast(pa.binary()).to_pylist()
    return pa.array([None if v is None else str(UUID(bytes=v)) for v in values], pa.string())
