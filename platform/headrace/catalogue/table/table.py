"""The table of items: one row an item, in columns, found by id and by key.

    I rows of the table   N items asked for   U items of a step   M word fields   L words of a field

Row 0 stands for any item that is not there. A row keeps its item while anybody may still hold its
number: it is given to another item `REUSE_AFTER_MS` after its own was removed, when every request
of then is over. So requests read without a lock, while one thread puts and removes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.table import columns
from headrace.catalogue.table.columns import (
    ABSENT,
    ATTRIBUTE,
    CATEGORIES,
    COLUMNS,
    HAS,
    NUMBERS,
    SLOTS,
    slot_bits,
)
from headrace.catalogue.table.key_index import KeyIndex, longer
from headrace.catalogue.table.ragged import Ragged
from headrace.events.declared import ATTRIBUTES
from headrace.keys import NUM_CATEGORY_SLOTS, category_slots, key

Ints = NDArray[np.int64]

REUSE_AFTER_MS: Final = 60_000  # no request is as old
BATCH: Final = 10_000
FIRST_BATCH: Final = 50_000  # of a new table: the more at once, the fewer words are hashed twice


class ItemTable:
    """Items by row. `put` and `remove` are for one thread, everything else for any."""

    def __init__(
        self,
        index: KeyIndex | None = None,
        numbers: Mapping[str, NDArray[Any]] | None = None,
        words: Ragged | None = None,
        documents: Ragged | None = None,
    ) -> None:
        self._lock = threading.Lock()  # over the index: an entry is in two places for a moment
        self._index = index or KeyIndex()
        self._numbers = dict(numbers or {name: _blank(dtype, 1) for name, dtype in COLUMNS.items()})
        self._words = words or Ragged(np.zeros(0, np.int64))
        self._documents = documents or Ragged(np.zeros(0, np.uint8))
        self._removed: deque[tuple[int, Ints]] = deque()  # when, and which rows
        self._reserve(self._index.capacity)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and bool(self._row_of_id(item_id))

    def __iter__(self) -> Iterator[Item]:
        """The items by row, each as it is when its turn comes."""
        rows = self.rows()
        for start in range(0, len(rows), BATCH):
            yield from filter(None, map(self._item_of, rows[start : start + BATCH].tolist()))

    def ids(self) -> Iterator[str]:
        """The items' ids by row."""
        return (item.item_id for item in self)

    @property
    def num_rows(self) -> int:
        """How many rows there are, row 0 and those without an item too."""
        return self._index.num_rows

    @property
    def num_bytes(self) -> int:
        """Bytes of index and columns, mapped ones too."""
        numbers = sum(column.nbytes for column in self._numbers.values())
        return self._index.num_bytes + numbers + self._words.num_bytes + self._documents.num_bytes

    def put(self, items: Iterable[Item], now_ms: int) -> Ints:
        """Take in these items, each in the place of the one with its id; returns their rows. The
        last of those with one id counts."""
        self._reuse(now_ms)
        items = list({item.item_id: item for item in items}.values())
        if not items:
            return np.zeros(0, np.int64)
        keys_U = _keys([item.item_id for item in items])
        with self._lock:
            row_U = self._index.add(keys_U)
        self._reserve(self._index.capacity)
        self._words.put(row_U, *columns.words_of(items))
        for name, value_U in columns.numbers_of(items).items():
            self._numbers[name][row_U] = value_U
        documents = [columns.encode_item(item) for item in items]
        flat = np.frombuffer(b"".join(documents), np.uint8)
        self._documents.put(row_U, flat, np.array(list(map(len, documents)), np.int64))
        self._make_room()
        return row_U

    def remove(self, item_ids: Iterable[str], now_ms: int) -> Ints:
        """Take these items out, where they are there; returns the rows that they had. Nobody finds
        them any more; who has their rows reads them as they were."""
        self._reuse(now_ms)
        keys_U = np.unique(_keys(list(item_ids)))
        with self._lock:
            row_U = self._index.withdraw(keys_U)
        if len(row_U):
            self._removed.append((now_ms, row_U))
        return row_U

    def rows(self) -> Ints:
        """The rows that have an item, ascending."""
        return self._index.rows()

    def have_items(self, row_N: Ints) -> NDArray[np.bool_]:
        """[N]: which of these rows have an item."""
        have_N: NDArray[np.bool_] = self.keys(row_N) != 0
        return have_N

    def rows_of_ids(self, item_ids: Sequence[str]) -> Ints:
        """[N]: the rows of these items, 0 for one that is not there."""
        return self.rows_of_keys(_keys(item_ids))

    def rows_of_keys(self, key_N: Ints | Sequence[int]) -> Ints:
        """[N]: the rows of the items with these keys, 0 for one that is not there."""
        with self._lock:
            return self._index.find(np.asarray(key_N, np.int64))

    def keys(self, row_N: Ints) -> Ints:
        """[N]: the keys of the items, 0 for row 0 and where an item was removed."""
        return self._index.keys(row_N)

    def slots(self, row_N: Ints) -> Ints:
        """[N, S]: the category slots of the items, padded with -1."""
        return columns.spread_slots(self.slot_bits(row_N))

    def slot_bits(self, row_N: Ints) -> NDArray[np.uint32]:
        """[N]: the category slots of the items as bits."""
        bits_N: NDArray[np.uint32] = self._numbers[SLOTS][row_N]
        return bits_N

    def numbers(self, name: str, row_N: Ints) -> NDArray[Any]:
        """[N]: the prices, stocks, times or ages of the items, `ABSENT` for none."""
        assert name in NUMBERS, f"{name} is none of {', '.join(NUMBERS)}"
        return self._numbers[name][row_N]

    def attributes(self, row_N: Ints) -> NDArray[np.float64]:
        """[N, A]: the items' attributes that are declared as numbers, NaN where one has none."""
        columns_A = [self.attribute(name, row_N) for name in ATTRIBUTES]
        return np.array(columns_A, np.float64).reshape(len(ATTRIBUTES), len(row_N)).T

    def attribute(self, name: str, row_N: Ints) -> NDArray[np.float64]:
        """[N]: one attribute that is declared as a number, NaN where an item has none."""
        return self._numbers[f"{ATTRIBUTE}{name}"][row_N]

    def have_attribute(self, name: str, row_N: Ints) -> NDArray[np.bool_]:
        """[N]: which items have an attribute that says for whom they are."""
        have_N: NDArray[np.bool_] = self._numbers[f"{HAS}{name}"][row_N] != 0
        return have_N

    def words(self, row_N: Ints) -> Ints:
        """[N, M, L]: the keys of the items' words, zeros where a field has fewer or none."""
        return columns.spread_words(*self._words.take(row_N))

    def word_bags(self, row_N: Ints) -> tuple[Ints, Ints]:
        """The words of the items, one item's after the other, and how many each has, [N], as
        `columns.words_of` puts them."""
        return self._words.take(row_N)

    def are_in(self, row_N: Ints, categories: Sequence[str]) -> NDArray[np.bool_]:
        """[N]: which of the items have one of these categories."""
        bits = slot_bits(category_slots(tuple(categories), NUM_CATEGORY_SLOTS))
        are_in_N: NDArray[np.bool_] = self.slot_bits(row_N) & bits != 0
        place = np.flatnonzero(are_in_N)
        keys = [key(f"{CATEGORIES}:{name}") for name in categories]
        are_in_N[place] = np.isin(self.category_keys(row_N[place]), keys).any(1)
        return are_in_N

    def category_keys(self, row_N: Ints) -> Ints:
        """[N, L]: the keys of the items' categories among their words, padded with zeros."""
        key_NL: Ints = self.words(row_N)[:, columns.WORD_FIELDS.index(CATEGORIES)]
        return key_NL

    def get(self, item_id: str) -> Item | None:
        """The item of this id, None where it is not there."""
        return self._item_of(self._row_of_id(item_id))

    def item(self, row: int) -> Item:
        """The item of a row; one without an id for row 0."""
        return self._item_of(row) or Item("")

    def items(self, row_N: Ints) -> list[Item]:
        """The items of these rows."""
        return [self.item(row) for row in row_N.tolist()]

    def columns(self) -> dict[str, Any]:
        """Keys, numbers, words and documents, by name, as they are written to a file."""
        return {
            "key": self._index.keys(np.arange(self._index.capacity)),
            **self._numbers,
            "words": self._words.packed(),
            "document": self._documents.packed(),
        }

    def _row_of_id(self, item_id: str) -> int:
        with self._lock:
            return self._index.row(key(item_id))

    def _item_of(self, row: int) -> Item | None:
        document = self._documents.value(row)
        return columns.decode_item(document.tobytes()) if len(document) else None

    def _reuse(self, now_ms: int) -> None:
        """Free the rows whose items were removed long enough ago."""
        while self._removed and self._removed[0][0] <= now_ms - REUSE_AFTER_MS:
            _, row_U = self._removed.popleft()
            none_U = np.zeros(len(row_U), np.int64)
            self._documents.put(row_U, np.zeros(0, np.uint8), none_U)
            self._words.put(row_U, none_U[:0], none_U)
            for name, dtype in COLUMNS.items():
                self._numbers[name][row_U] = _blank(dtype, 1)
            with self._lock:
                self._index.free(row_U)

    def _reserve(self, capacity: int) -> None:
        """Have room for so many rows in each column."""
        for name, column in self._numbers.items():
            if len(column) < capacity:
                self._numbers[name] = longer(column, capacity)
                self._numbers[name][len(column) :] = _blank(COLUMNS[name], 1)
        self._words.reserve(capacity)
        self._documents.reserve(capacity)

    def _make_room(self) -> None:
        """Give back the places of values that no row has any more."""
        if self._words.wastes:
            self._words = Ragged.of_ends(*self._words.packed())
        if self._documents.wastes:
            self._documents = Ragged.of_ends(*self._documents.packed())


def table_of(items: Iterable[Item]) -> ItemTable:
    """A table of these items, in rows from 1 on in their order."""
    table, left = ItemTable(), iter(items)
    while part := list(islice(left, FIRST_BATCH)):
        table.put(part, 0)
    return table


def _blank(dtype: np.dtype[Any], num: int) -> NDArray[Any]:
    """The column of rows without an item."""
    return np.full(num, {"i": ABSENT, "f": np.nan}.get(dtype.kind, 0), dtype)


def _keys(item_ids: Sequence[str]) -> Ints:
    return np.fromiter(map(key, item_ids), np.int64, len(item_ids))
