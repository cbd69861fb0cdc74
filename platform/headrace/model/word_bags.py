"""Bags of words: of the fields of items, of users' attributes, of what requests told.

G bags of words   N words of all bags together   V distinct words   L words of a bag
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class WordBags:
    """Bags of words, one after the other: bag g is `row_N[start_G[g] : start_G[g + 1]]`."""

    key_V: Tensor  # the distinct words
    row_N: Tensor  # rows of `key_V`
    start_G: Tensor

    def has_some_G(self) -> NDArray[np.bool_]:
        """[G]: which bags are not empty."""
        sizes_G = np.diff(self.start_G.cpu().numpy(), append=len(self.row_N))
        return sizes_G > 0


def word_bags(word_GL: NDArray[np.int64]) -> WordBags:
    """The bags of these words: one per row, of its entries that are not zero."""
    there_GL = word_GL != 0
    key_V, row_N = np.unique(word_GL[there_GL], return_inverse=True)
    start_G = np.cumsum(there_GL.sum(1)) - there_GL.sum(1)
    return WordBags(*map(torch.from_numpy, (key_V, row_N.reshape(-1), start_G)))


def bags_of(words: Sequence[tuple[int, ...]]) -> WordBags:
    """The bags of these words, a sequence each."""
    word_BA = np.zeros((len(words), max(map(len, words))), dtype=np.int64)
    for row, keys in enumerate(words):
        word_BA[row, : len(keys)] = keys
    return word_bags(word_BA)
