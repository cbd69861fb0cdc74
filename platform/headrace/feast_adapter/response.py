"""Feast's answer to a read, made from columns instead of value by value.

A column of floats or booleans takes the same number of bytes per value on protobuf's wire, so numpy
lays the column out and protobuf parses it at once. What it says is what Feast's assembly would say.

N rows
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from feast import FeatureView, utils
from feast.online_response import TIMESTAMP_POSTFIX, OnlineResponse
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import feast_value_type_to_python_type
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray

from headrace.feast_adapter.request import EPOCH, MICROSECOND
from headrace.feast_adapter.value import decode_values, field_of, new_value
from headrace.features.store.row import Bools
from headrace.features.store.rows import Rows
from headrace.features.store.schema import NUMBERS

ReadRow = tuple[datetime | None, dict[str, Value] | None]

_VALUES, _STATUSES, _TIMES = b"\x0a", b"\x12", b"\x1a"  # fields 1 to 3, length-delimited
_PLAIN: Final = {"float_val", "double_val", "int32_val", "int64_val", "bool_val", "bytes_val"}
_SAME_LENGTH: Final = ("FLOAT", "DOUBLE", "BOOL")


class PackedResponse(OnlineResponse):  # type: ignore[misc]
    """Feast's response; a column that needs no conversion becomes Python's values at once."""

    def to_dict(self, include_event_timestamps: bool = False) -> dict[str, list[Any]]:
        """The columns as Python's values by name, as Feast's `to_dict` gives them."""
        columns: dict[str, list[Any]] = {}
        names = self.proto.metadata.feature_names.val
        for name, vector in zip(names, self.proto.results, strict=True):
            columns[name] = _python_values(vector.values, self._feature_types.get(name))
            if include_event_timestamps:
                times = [time.seconds for time in vector.event_timestamps]
                columns[f"{name}{TIMESTAMP_POSTFIX}"] = times
        return columns


def _python_values(values: Any, value_type: Any) -> list[Any]:
    fields = [value.WhichOneof("val") for value in values]
    one = {*fields} - {None}
    if one <= _PLAIN and len(one) == 1:
        (field,) = one
        return [
            getattr(value, field) if there else None
            for value, there in zip(values, fields, strict=True)
        ]
    return [feast_value_type_to_python_type(value, value_type) for value in values]


def respond(
    grouped_refs: Iterable[tuple[FeatureView, list[str]]],
    rows_of_views: Iterable[Rows],
    response: Any,
    full_feature_names: bool,
    with_versions: bool,
) -> None:
    """Fill in Feast's response with the rows read of each view."""
    for (table, names), rows in zip(grouped_refs, rows_of_views, strict=True):
        if with_versions:
            utils._populate_response_from_feature_data(
                [], [], [], response, full_feature_names, table, 0, with_versions
            )
        label = f"{table.projection.name_to_use()}__" if full_feature_names else ""
        _add_features(response, names, rows, label)


def read_rows(rows: Rows, names: Sequence[str] | None) -> list[ReadRow]:
    """Event time and values of each entity; None twice where there is no row or it has expired."""
    names = list(rows.view.schema.index) if names is None else names
    columns = [(name, decode_values(rows, name), rows.known_N(name).tolist()) for name in names]
    return [
        (
            EPOCH + event_time_us * MICROSECOND,
            {name: values[place] for name, values, known in columns if known[place]},
        )
        if found
        else (None, None)
        for place, (event_time_us, found) in enumerate(
            zip(rows.event_time_us_N.tolist(), rows.found_N.tolist(), strict=True)
        )
    ]


def _add_features(response: Any, names: Sequence[str], rows: Rows, label: str) -> None:
    """Append these features of N entities to Feast's response; `label` goes before each name."""
    from feast.metrics import track_feature_statuses  # sets variables of the process's environment

    response.metadata.feature_names.val.extend(label + name for name in names)
    times = b"".join(_TIMES + _sized(_time(us)) for us in rows.event_time_us_N.tolist())
    absent_N = np.where(rows.expired_N, FieldStatus.OUTSIDE_MAX_AGE, FieldStatus.NOT_FOUND)
    num_present = 0
    for name in names:
        known_N = rows.known_N(name)
        statuses = np.where(known_N, FieldStatus.PRESENT, absent_N).astype(np.uint8).tobytes()
        vector = response.results.add()
        _add_values(vector, rows, name)
        vector.MergeFromString(_STATUSES + _sized(statuses) + times)
        num_present += int(known_N.sum())
    track_feature_statuses(rows.view.name, num_present, len(rows) * len(names) - num_present)


def _add_values(vector: Any, rows: Rows, name: str) -> None:
    value_type = rows.view.schema.columns[rows.view.schema.index[name]].type
    if value_type in _SAME_LENGTH:
        vector.MergeFromString(_wire_values(value_type, *rows.numbers(name)))
    else:
        vector.values.extend(decode_values(rows, name))


def _wire_values(value_type: str, numbers_N: NDArray[Any], present_N: Bools) -> bytes:
    """`values` of a FeatureVector: each a tag, a length, and the value with a tag of its own."""
    kind = NUMBERS[value_type]
    inner = _TAGS[value_type]
    record = np.dtype([("outer", "S1"), ("length", "u1"), ("inner", "u1"), ("number", kind)])
    wire_N = np.empty(len(numbers_N), record)
    wire_N["outer"], wire_N["inner"], wire_N["number"] = _VALUES, inner, numbers_N
    wire_N["length"] = np.where(present_N, record.itemsize - 2, 0)
    if present_N.all():
        return wire_N.tobytes()
    bytes_NW = wire_N.view(np.uint8).reshape(len(wire_N), record.itemsize)
    kept_NW = np.repeat(present_N[:, None], record.itemsize, axis=1)
    kept_NW[:, :2] = True  # a null is a value of no bytes
    return bytes_NW[kept_NW].tobytes()


def _tag(value_type: str) -> int:
    """The tag of the field of this type within a `Value`."""
    tag: int = new_value(**{field_of(value_type): 1}).SerializeToString()[0]
    return tag


_TAGS: Final = {value_type: _tag(value_type) for value_type in _SAME_LENGTH}


def _time(event_time_us: int) -> bytes:
    seconds, us = divmod(event_time_us, 1_000_000)
    time: bytes = Timestamp(seconds=seconds, nanos=us * 1_000).SerializeToString()
    return time


def _sized(content: bytes) -> bytes:
    """The content after its length, as protobuf writes lengths."""
    length, out = len(content), bytearray()
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    out.append(length)
    return bytes(out) + content
