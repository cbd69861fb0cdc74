"""An item as the values of its columns: numbers, category slots, word keys, and itself as bytes.

N items   M word fields   L words of a field   S category slots of an item
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.numbers import attribute_numbers, words_beside
from headrace.events.declared import ATTRIBUTES, LOCALE
from headrace.keys import NUM_CATEGORY_SLOTS, category_slots, key

Ints = NDArray[np.int64]

CATEGORIES: Final = "categories"
WORD_FIELDS: Final = ("title", CATEGORIES, "attributes")
MAX_WORDS: Final = 12
MAX_SLOTS: Final = 8  # of an item's categories

COUNT_UNIT: Final = 1 << 8
COUNT_UNITS: Final = COUNT_UNIT ** np.arange(len(WORD_FIELDS))

ABSENT: Final = -1  # the number of an item that has none
NUMBERS: Final[dict[str, np.dtype[Any]]] = {
    "price_micros": np.dtype(np.int64),
    "available_from_ms": np.dtype(np.int64),
    "available_until_ms": np.dtype(np.int64),
    "stock": np.dtype(np.int32),
    "min_age": np.dtype(np.int16),
}
SLOTS: Final = "category_slots"  # a bit for each
ATTRIBUTE: Final = "attribute:"  # before the name of a declared one; NaN where an item has none
HAS: Final = "has:"  # before the name of an attribute that says for whom an item is
COLUMNS: Final[dict[str, np.dtype[Any]]] = {
    **NUMBERS,
    SLOTS: np.dtype(np.uint32),
    **{f"{ATTRIBUTE}{name}": np.dtype(np.float64) for name in ATTRIBUTES},
    **{f"{HAS}{name}": np.dtype(np.uint8) for name in LOCALE},
}

FIELDS: Final = tuple(field.name for field in fields(Item))
_VALUES: Final[Any] = tuple(get_type_hints(Item)[name] for name in FIELDS)
_DECODER: Final = msgspec.msgpack.Decoder(tuple[_VALUES])
_ENCODER: Final = msgspec.msgpack.Encoder()
_WORD: Final = re.compile(r"[^\W_]+")  # letters and digits, as `str.isalnum` says


def encode_item(item: Item) -> bytes:
    """The item as bytes: its fields' values, in their order."""
    return _ENCODER.encode([getattr(item, name) for name in FIELDS])


def decode_item(document: bytes) -> Item:
    """The item of these bytes."""
    return Item(*_DECODER.decode(document))


def numbers_of(items: Sequence[Item]) -> dict[str, NDArray[Any]]:
    """[N] of each column that has one number an item, or a few."""
    columns = {
        name: np.array([_number(getattr(item, name), dtype) for item in items], dtype)
        for name, dtype in NUMBERS.items()
    }
    slots = (category_slots(i.categories, NUM_CATEGORY_SLOTS)[:MAX_SLOTS] for i in items)
    columns[SLOTS] = np.array([sum(1 << slot for slot in of_item) for of_item in slots], np.uint32)
    numbers_AN = attribute_numbers(items).T
    columns |= {f"{ATTRIBUTE}{name}": row for name, row in zip(ATTRIBUTES, numbers_AN, strict=True)}
    for name in LOCALE:
        have = [any(one.partition("=")[0] == name for one in item.attributes) for item in items]
        columns[f"{HAS}{name}"] = np.array(have, np.uint8)
    return columns


def words_of(items: Sequence[Item]) -> tuple[Ints, Ints]:
    """The words of these items, one item's after the other, and the lengths of that, [N]: how many
    each field has, in one number, then their keys. Words of different fields are different."""
    keys_M = [_WordKeys(name) for name in WORD_FIELDS]
    flat: list[int] = []
    lengths = []
    for item in items:
        title = _WORD.findall(item.title.casefold())
        told = (title, item.categories, words_beside(item.attributes))
        start, unit = len(flat), 1
        flat.append(0)
        for keys, words in zip(keys_M, told, strict=True):
            some = words[:MAX_WORDS]
            flat[start] += unit * len(some)
            flat += map(keys.__getitem__, some)
            unit *= COUNT_UNIT
        lengths.append(len(flat) - start)
    return np.array(flat, np.int64), np.array(lengths, np.int64)


class _WordKeys(dict[str, int]):
    """The keys of words of a field, each hashed once: most are words of many items."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __missing__(self, word: str) -> int:
        found = self[word] = key(f"{self._name}:{word}")
        return found


def spread_words(flat: Ints, length_N: Ints) -> Ints:
    """[N, M, L]: the keys of words as `words_of` puts them, zeros where a field has fewer."""
    start_N = (np.cumsum(length_N) - length_N)[length_N > 0]
    count_NM = np.zeros((len(length_N), len(WORD_FIELDS)), np.int64)
    count_NM[length_N > 0] = flat[start_N, None] // COUNT_UNITS % COUNT_UNIT
    word_NML = np.zeros((*count_NM.shape, MAX_WORDS), np.int64)
    word_NML[np.arange(MAX_WORDS) < count_NM[..., None]] = np.delete(flat, start_N)
    return word_NML


def spread_slots(bits_N: NDArray[np.uint32]) -> Ints:
    """[N, S]: the category slots of these bits in ascending order, padded with -1."""
    slot_NS = np.full((len(bits_N), MAX_SLOTS), -1, np.int64)
    row_P, slot_P = np.nonzero(
        bits_N[:, None] >> np.arange(NUM_CATEGORY_SLOTS, dtype=np.uint32) & 1
    )
    first_N = np.searchsorted(row_P, np.arange(len(bits_N)))
    slot_NS[row_P, np.arange(len(row_P)) - first_N[row_P]] = slot_P
    return slot_NS


def slot_bits(slots: Iterable[int]) -> np.uint32:
    """The bits of these category slots."""
    return np.uint32(sum(1 << slot for slot in slots))


def _number(value: int | None, dtype: np.dtype[Any]) -> int:
    """The number of a column that is nearest to a value."""
    return ABSENT if value is None else min(value, int(np.iinfo(dtype).max))
