"""Cells of the variable block: texts, bytes and sequences as bytes, and back.

A sequence of numbers is its array; one of texts is its number of items and their lengths, uint32,
and then the items. Every other type is a serialized `Value` of Feast's, left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.errors import FeatureError


@dataclass(frozen=True, slots=True)
class Codec:
    """How a cell of some types becomes bytes; `encode` raises TypeError where it does not fit."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _same(value: bytes) -> bytes:
    return bytes(memoryview(value))  # bytes(5) would be five zeros


def _text(value: str) -> bytes:
    return str.encode(value)


def as_numbers(items: Any, numpy_type: str) -> NDArray[Any]:
    """The items as an array of this type; raises TypeError or ValueError where they do not fit.

    A float may lose digits, as Feast lets it; an integer may not.
    """
    given = np.asarray(items)
    if given.size and not np.can_cast(given.dtype, numpy_type, "same_kind"):
        raise TypeError
    numbers = given.astype(numpy_type)
    if given.dtype.kind in "iu" and not np.array_equal(numbers, given):
        raise ValueError
    return numbers


def _array(numpy_type: str) -> Codec:
    def encode(items: Any) -> bytes:
        numbers = as_numbers(items, numpy_type)
        if numbers.ndim != 1:
            raise TypeError
        return numbers.tobytes()

    return Codec(encode, lambda cell: np.frombuffer(cell, numpy_type))


def _join(items: Sequence[bytes]) -> bytes:
    sizes = np.array([len(items), *map(len, items)], "<u4")
    return b"".join([sizes.tobytes(), *items])


def _split(cell: bytes) -> list[bytes]:
    (num_items,) = np.frombuffer(cell, "<u4", 1).tolist()
    ends = np.frombuffer(cell, "<u4", num_items, offset=4).cumsum(dtype=np.int64)
    stops = (ends + 4 + 4 * num_items).tolist()
    starts = [4 + 4 * num_items, *stops]
    return [cell[start:stop] for start, stop in zip(starts, stops, strict=False)]


_TEXT = Codec(_text, bytes.decode)
_BYTES = Codec(_same, lambda cell: cell)
_TEXTS = Codec(
    lambda items: _join([_text(i) for i in items]), lambda c: [*map(bytes.decode, _split(c))]
)
_CHUNKS = Codec(lambda items: _join([_same(item) for item in items]), _split)

CODECS: Final[dict[str, Codec]] = {
    **dict.fromkeys(("STRING", "JSON", "UUID", "TIME_UUID", "DECIMAL"), _TEXT),
    **dict.fromkeys(("BYTES", "PDF_BYTES", "IMAGE_BYTES"), _BYTES),
    **dict.fromkeys(
        ("STRING_LIST", "JSON_LIST", "UUID_LIST", "TIME_UUID_LIST", "DECIMAL_LIST"), _TEXTS
    ),
    "BYTES_LIST": _CHUNKS,
    "FLOAT_LIST": _array("<f4"),
    "DOUBLE_LIST": _array("<f8"),
    "INT32_LIST": _array("<i4"),
    "INT64_LIST": _array("<i8"),
    "UNIX_TIMESTAMP_LIST": _array("<i8"),
    "BOOL_LIST": _array("|b1"),
}


def codec(value_type: str) -> Codec:
    """The codec of a type; bytes as they are for one that has none of its own."""
    return CODECS.get(value_type, _BYTES)


def encode_cells(name: str, value_type: str, values: Sequence[Any]) -> list[bytes]:
    """A column of cells, b"" for None; raises `FeatureError` naming the first that does not fit."""
    if value_type == "BYTES" and all(type(value) is bytes for value in values):
        return list(values)
    encode = codec(value_type).encode
    cells: list[bytes] = []
    for row, value in enumerate(values):
        try:
            cells.append(b"" if value is None else encode(value))
        except (TypeError, ValueError) as error:
            raise FeatureError(
                f"feature {name!r} of row {row} is {value!r:.80}, expected {value_type}: "
                "write values of the type that the feature view declares"
            ) from error
    return cells
