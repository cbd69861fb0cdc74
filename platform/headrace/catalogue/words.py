"""Content: the words, categories and attributes of items as keys, and vectors of other modalities.

I items of the catalogue   U items asked for   M word fields   L words of a field
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.vectors import ContentVectors
from headrace.keys import key

WORD_FIELDS: Final = ("title", "categories", "attributes")
MAX_WORDS: Final = 12


class ContentTable:
    """The content of the catalogue, found by item key; unknown items have none.

    `vectors` are what encoders made of it, for the ranker to read beside words and attributes.
    """

    def __init__(self, items: Mapping[str, Item], vectors: ContentVectors | None = None) -> None:
        keys = np.array([key(item.item_id) for item in items.values()], dtype=np.int64)
        order = np.argsort(keys)
        none = np.zeros((1, len(WORD_FIELDS), MAX_WORDS), dtype=np.int64)
        words = [_content_words(item)[None] for item in items.values()]
        self._key_I = keys[order]
        self._word_IML = np.concatenate([none, *words])[[0, *(order + 1)]]
        self.vectors = vectors or ContentVectors()

    def words_UML(self, item_key_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """[U, M, L]: word keys, zeros where a field has fewer words or none."""
        return self._word_IML[self._rows(item_key_U)]

    def known_keys(self, item_key_X: NDArray[np.int64]) -> NDArray[np.int64]:
        """[X]: these keys, 0 for items of which neither the catalogue nor a vector tells anything;
        all of them without a catalogue."""
        if not len(self._key_I):
            return item_key_X
        is_known_X = (self._rows(item_key_X) > 0) | self.vectors.has_any(item_key_X)
        return np.where(is_known_X, item_key_X, 0)

    def _rows(self, item_key_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """[U]: rows of the table; row 0 is the unknown item."""
        if not len(self._key_I):
            return np.zeros(len(item_key_U), dtype=np.int64)
        place_U = np.searchsorted(self._key_I, item_key_U).clip(max=len(self._key_I) - 1)
        rows_U: NDArray[np.int64] = np.where(self._key_I[place_U] == item_key_U, place_U + 1, 0)
        return rows_U


def user_word_keys(attributes: Sequence[str]) -> tuple[int, ...]:
    """The keys of a user's "name=value" attributes."""
    return tuple(key(f"user:{attribute}") for attribute in attributes)


def _content_words(item: Item) -> NDArray[np.int64]:
    """[M, L]: title words, categories and attributes as keys, apart from each other."""
    words = "".join(c if c.isalnum() else " " for c in item.title.casefold()).split()
    words_ML = np.zeros((len(WORD_FIELDS), MAX_WORDS), dtype=np.int64)
    for row, texts in enumerate((words, item.categories, item.attributes)):
        keys = [key(f"{WORD_FIELDS[row]}:{text}") for text in texts[:MAX_WORDS]]
        words_ML[row, : len(keys)] = keys
    return words_ML
