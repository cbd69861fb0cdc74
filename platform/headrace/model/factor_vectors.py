"""Factor vectors: the item factors of a version as an index, and a user's vector to search it with.

The product of both is the grade that `headrace.model.item_factors` expects of the item with the
user. The index is of the version's own factors, so vectors of two versions never meet.

    P past events   U items   F and E as in `headrace.model.item_factors`
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.index.vector_index import VectorIndex
from headrace.model.item_factors import Ints, ItemFactors, folded

Floats = NDArray[np.float32]


class FactorVectors:
    """The factors of the items that are in the catalogue; of others nothing was learned."""

    def __init__(self, factors: ItemFactors, is_there_I: NDArray[np.bool_]) -> None:
        """Those of the factors' items that are there, in the order of `factors.key_I`."""
        self._factors = factors
        self.index = VectorIndex.of(factors.key_I[is_there_I], factors.entry_IE[is_there_I])

    def follow(self, put_U: Ints, removed: Ints) -> None:
        """Take in the keys of items that came and went."""
        self.index.remove(removed)
        came = np.intersect1d(put_U, self._factors.key_I)
        if len(came):
            self.index.put(came, self._factors.of(torch.from_numpy(came)).numpy())
        self.index.rebuild_if_due()

    def of_user(self, key_P: Ints, grade_P: Floats, word_keys: tuple[int, ...]) -> Floats:
        """[E]: the vector of a user with these past events and attributes."""
        words = np.array(word_keys, np.int64)
        prior_F = torch.from_numpy(self._factors.attributes(words).sum(0))
        entry_PE = self._factors.of(torch.from_numpy(key_P))
        part_1F = folded(
            entry_PE[None], torch.from_numpy(grade_P)[None], self._factors.ridge, prior_F[None]
        )
        return np.append(part_1F[0].numpy(), np.float32(1))
