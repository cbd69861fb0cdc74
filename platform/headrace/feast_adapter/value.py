"""Feast's values as columns, and columns as Feast's values.

N rows   C columns of a view   K columns of one numpy type
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from feast.protos.feast.types.Value_pb2 import Value
from numpy.typing import NDArray

from headrace.errors import FeatureError
from headrace.features.store.cell import CODECS, encode_cells
from headrace.features.store.row import Stamp, encode_rows
from headrace.features.store.rows import Rows
from headrace.features.store.schema import NUMBERS, Column, Schema

NULL: Final = Value()
new_value: Final[Callable[..., Value]] = Value  # its fields are chosen by name here

# The field of `Value` for a type is its name in lower case, but for these.
_FIELDS: Final = {
    "PDF_BYTES": "bytes_val",
    "IMAGE_BYTES": "bytes_val",
    "VALUE_LIST": "list_val",
    "VALUE_SET": "set_val",
}
_ANY: Final = "UNKNOWN"  # a type that Feast does not know: any value is taken as it is


def field_of(value_type: str) -> str:
    """The field of `Value` that holds a value of this type."""
    return _FIELDS.get(value_type, f"{value_type.lower()}_val")


def encode_values(
    schema: Schema, rows: Sequence[Mapping[str, Value]], event_time_us: Sequence[int]
) -> list[bytes]:
    """Rows of Feast's values as bytes. A feature that a row does not name is null.

    Raises `FeatureError` for a value of another type and for a feature that the view does not have.
    """
    named = {name for row in rows for name in row}
    if strange := named - schema.index.keys():
        raise FeatureError(
            f"rows have features {sorted(strange)}, the view has {list(schema.index)}: "
            "apply the definition that has them first"
        )
    columns = [[row.get(column.name, NULL) for row in rows] for column in schema.columns]
    present_CN = [_present(c, values) for c, values in zip(schema.columns, columns, strict=True)]
    present_NC = np.array(present_CN, np.bool_).reshape(len(columns), len(rows)).T
    numbers: dict[str, NDArray[Any]] = {
        kind: np.array([_numbers(schema.columns[n], columns[n]) for n in places], kind).T
        for kind, places in schema.numbers.items()
    }
    cells = [_cells(schema.columns[n], columns[n], present_CN[n]) for n in schema.variable]
    return encode_rows(schema, Stamp(np.array(event_time_us, np.int64)), present_NC, numbers, cells)


def decode_values(rows: Rows, name: str) -> list[Value]:
    """A column as Feast's values, an unset one where there is none."""
    column = rows.view.schema.columns[rows.view.schema.index[name]]
    field = field_of(column.type)
    if column.type in NUMBERS:
        numbers_N, present_N = rows.numbers(name)
        pairs = zip(numbers_N.tolist(), present_N.tolist(), strict=True)
        return [new_value(**{field: number}) if there else NULL for number, there in pairs]
    if column.type not in CODECS:
        cells = rows.cells(name)
        return [NULL if cell is None else Value.FromString(cell) for cell in cells]
    sequence = column.type.endswith("_LIST")
    return [
        NULL if value is None else new_value(**{field: {"val": value} if sequence else value})
        for value in rows.values(name)
    ]


def _present(column: Column, values: Sequence[Value]) -> list[bool]:
    wanted = field_of(column.type)
    fields: list[Any] = [value.WhichOneof("val") for value in values]
    if column.type != _ANY and (wrong := {*fields} - {wanted, None, "null_val"}):
        raise FeatureError(
            f"feature {column.name!r} has a {' and '.join(sorted(wrong))}, expected a {wanted} "
            f"({column.type}): write values of the type that the feature view declares"
        )
    return [field is not None and field != "null_val" for field in fields]


def _numbers(column: Column, values: Sequence[Value]) -> list[Any]:
    field = field_of(column.type)
    return [getattr(value, field) for value in values]


def _cells(column: Column, values: Sequence[Value], present: Sequence[bool]) -> list[bytes]:
    pairs = zip(values, present, strict=True)
    if column.type not in CODECS:
        return [value.SerializeToString() if there else b"" for value, there in pairs]
    field = field_of(column.type)
    plain = [getattr(value, field) if there else None for value, there in pairs]
    if column.type.endswith("_LIST"):
        plain = [None if items is None else items.val for items in plain]
    return encode_cells(column.name, column.type, plain)
