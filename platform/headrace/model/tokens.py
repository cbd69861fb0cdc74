"""Content tokens: the words, categories and attributes of items and users as keys.

M modalities   L tokens of a modality   U items
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.datasets.dataset import Item
from headrace.keys import key

MODALITIES: Final = ("title", "categories", "attributes")
MAX_TOKENS: Final = 12


class ContentTable:
    """The content of the catalogue as token keys, found by item key; unknown items have none."""

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._tokens = {key(item.item_id): _content_tokens(item) for item in items.values()}
        self._none = np.zeros((len(MODALITIES), MAX_TOKENS), dtype=np.int64)

    def tokens_UML(self, item_key_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """[U, M, L]: token keys, zeros where a modality has fewer tokens or is missing."""
        return np.stack(
            [self._tokens.get(item_key, self._none) for item_key in item_key_U.tolist()]
        )


def user_token_keys(attributes: Sequence[str]) -> tuple[int, ...]:
    """The keys of a user's "name=value" attributes."""
    return tuple(key(f"user:{attribute}") for attribute in attributes)


def _content_tokens(item: Item) -> NDArray[np.int64]:
    """[M, L]: title words, categories and attributes as keys, apart from each other."""
    words = "".join(c if c.isalnum() else " " for c in item.title.casefold()).split()
    tokens_ML = np.zeros((len(MODALITIES), MAX_TOKENS), dtype=np.int64)
    for row, texts in enumerate((words, item.categories, item.attributes)):
        keys = [key(f"{MODALITIES[row]}:{text}") for text in texts[:MAX_TOKENS]]
        tokens_ML[row, : len(keys)] = keys
    return tokens_ML
