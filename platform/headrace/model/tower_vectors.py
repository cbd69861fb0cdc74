"""Tower vectors: the items' tower of a version as an index, and a user's vector to search it with.

P past events   U items   E width of a vector
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.catalogue.words import ContentTable
from headrace.index.vector_index import VectorIndex
from headrace.model.batch import make_items
from headrace.model.two_tower import WIDTH, TwoTower
from headrace.model.word_bags import bags_of

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class TowerVectors:
    """The towers of a published state, over all items of a catalogue."""

    def __init__(
        self,
        state: dict[str, Any],
        content: ContentTable,
        key_N: Ints,
        folder: Path | None = None,
    ) -> None:
        self.stamp = stamp_of(state)
        self._content, self._towers = content, TwoTower()
        self._towers.load_state(state)
        self._towers.eval()
        key_N = np.sort(key_N)  # so that two replicas make the same
        self.index = VectorIndex(
            key_N, lambda place_U: self._vectors(key_N[place_U]), WIDTH + 1, folder
        )

    def follow(self, put: Ints, removed: Ints) -> None:
        """Take in the keys of items that came or changed, and of those that went."""
        self.index.remove(removed)
        if len(put):
            self.index.put(put, self._vectors(put))
        self.index.rebuild_if_due()

    @torch.inference_mode()
    def of_user(self, key_P: Ints, grade_P: Floats, word_keys: tuple[int, ...]) -> Floats:
        """[E]: the vector of a user with these past events and attributes."""
        keys, grades = torch.from_numpy(key_P)[None], torch.from_numpy(grade_P)[None]
        user_1D = self._towers.users(keys, grades, bags_of([word_keys]))
        return np.append(user_1D[0].numpy(), np.float32(1))

    @torch.inference_mode()
    def _vectors(self, key_U: Ints) -> Floats:
        vector_UE: Floats = self._towers.items(make_items(key_U, self._content)).numpy()
        return vector_UE


def stamp_of(state: dict[str, Any]) -> bytes:
    """A number of the state: the same for two versions that have the same towers."""
    digest = blake2b(digest_size=8)
    for name in sorted(state["dense"]):
        digest.update(state["dense"][name].numpy().tobytes())
    return digest.digest()
