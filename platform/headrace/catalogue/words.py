"""Content: the words, categories and attributes of items as keys, and vectors of other modalities.

U items asked for   M word fields   L words of a field
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.catalogue.vectors import ContentVectors
from headrace.keys import key


class ContentTable:
    """The content of the catalogue, found by item key; unknown items have none.

    `vectors` are what encoders made of it, for the ranker to read beside words and attributes.
    """

    def __init__(
        self, items: ItemTable | Mapping[str, Item], vectors: ContentVectors | None = None
    ) -> None:
        self._table = items if isinstance(items, ItemTable) else table_of(items.values())
        self.vectors = vectors or ContentVectors()

    def __len__(self) -> int:
        return len(self._table)

    def drawn(self, num: int, seed: int) -> NDArray[np.int64]:
        """The keys of different items of the catalogue, drawn evenly: this many, or fewer where two
        draws met or met none."""
        draw = np.random.default_rng(seed)
        key_N = self._table.keys(draw.integers(1, max(self._table.num_rows, 2), num))
        return np.unique(key_N[key_N != 0])

    def words_UML(self, item_key_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """[U, M, L]: word keys, zeros where a field has fewer words or none."""
        return self._table.words(self._table.rows_of_keys(item_key_U))

    def known_keys(self, item_key_X: NDArray[np.int64]) -> NDArray[np.int64]:
        """[X]: these keys, 0 for items of which neither the catalogue nor a vector tells anything;
        all of them without a catalogue."""
        if not len(self._table):
            return item_key_X
        is_known_X = self._table.rows_of_keys(item_key_X) > 0
        is_known_X |= self.vectors.has_any(item_key_X)
        return np.where(is_known_X, item_key_X, 0)


def user_word_keys(attributes: Sequence[str]) -> tuple[int, ...]:
    """The keys of a user's "name=value" attributes."""
    return tuple(key(f"user:{attribute}") for attribute in attributes)
