"""Content vectors of a whole catalogue as an index: of words, and of what encoders made of items.

    U items asked for   V words of all   W width of a part   B buckets   D width of all parts

A vector has a part for the words of title, categories and attributes, and one for each vector
table that is read; the product of two vectors is the mean of their parts' cosines. A word is W
signs that its key decides, weighed by how rare it is; a wider encoder's vector is projected at
random, which keeps cosines to about 1 / sqrt(W).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.hashing import NUM_SIGNS, buckets, signs
from headrace.catalogue.words import ContentTable
from headrace.index.vector_index import VectorIndex

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

WIDTH: Final = NUM_SIGNS
BUCKETS: Final = 1 << 16  # of words that are counted
PART: Final = 1 << 13  # items at once


class ContentIndex:
    """The content vectors of these items, as they are when it is made, and as they come and go."""

    def __init__(self, content: ContentTable, key_N: Ints, folder: Path | None = None) -> None:
        self._content = content
        self._rarity_B = self._rarities(key_N)
        self._projections = tuple(map(_projection, content.vectors.widths))
        width = WIDTH * (1 + len(self._projections))
        key_N = np.sort(key_N)  # so that two replicas make the same
        self.index = VectorIndex(key_N, lambda place_U: self.vectors(key_N[place_U]), width, folder)

    def vectors(self, key_U: Ints) -> Floats:
        """[U, D]: the vectors of these items, zeros where nothing is told of one."""
        parts = [self._of_words(key_U)]
        for column, projection_XW in zip(
            self._content.vectors.columns, self._projections, strict=True
        ):
            vector_UX, has_U = column.find(key_U)
            vector_UX = np.where(has_U[:, None], vector_UX, np.float32(0))
            parts.append(_unit(vector_UX @ projection_XW))
        vector_UD: Floats = np.concatenate(parts, axis=1)
        return vector_UD / np.float32(len(parts) ** 0.5)

    def follow(self, put: Ints, removed: Ints) -> None:
        """Take in the keys of items that came or changed, and of those that went."""
        self.index.remove(removed)
        if len(put):
            self.index.put(put, self.vectors(put))
        self.index.rebuild_if_due()

    def _of_words(self, key_U: Ints) -> Floats:
        """[U, W]: the sums of the words' signs, of length 1."""
        word_UML = self._content.words_UML(key_U)
        word_UV = word_UML.reshape(len(key_U), word_UML.shape[1] * word_UML.shape[2])
        item_V, _ = np.nonzero(word_UV)
        word_V = word_UV[word_UV != 0]
        sign_VW = signs(word_V) * self._rarity_B[buckets(word_V, BUCKETS)][:, None]
        sum_UW = np.zeros((len(key_U), WIDTH), np.float32)
        if len(word_V):
            has_words, start = np.unique(item_V, return_index=True)
            sum_UW[has_words] = np.add.reduceat(sign_VW, start, axis=0)
        return _unit(sum_UW)

    def _rarities(self, key_N: Ints) -> Floats:
        """[B]: the logarithm of one over the share of the items that have a word."""
        count_B = np.zeros(BUCKETS)
        for start in range(0, len(key_N), PART):
            word_V = self._content.words_UML(key_N[start : start + PART]).reshape(-1)
            count_B += np.bincount(buckets(word_V[word_V != 0], BUCKETS), minlength=BUCKETS)
        rarity_B: Floats = np.log1p(len(key_N) / (1 + count_B)).astype(np.float32)
        return rarity_B


def _projection(width: int) -> Floats:
    """[X, W]: vectors of this width to W numbers, which are their own where they are no more."""
    if width <= WIDTH:
        return np.eye(width, WIDTH, dtype=np.float32)
    drawn_XW = np.random.default_rng(width).normal(0, WIDTH**-0.5, (width, WIDTH))
    return drawn_XW.astype(np.float32)


def _unit(vector_UW: Floats) -> Floats:
    """[U, W]: of length 1, zeros where they are zeros."""
    length_U1 = np.linalg.norm(vector_UW, axis=1, keepdims=True)
    unit_UW: Floats = vector_UW / np.maximum(length_U1, np.float32(1e-12))
    return unit_UW
