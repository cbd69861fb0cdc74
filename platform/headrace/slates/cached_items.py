"""The items that a version has read: its item side, computed once per item, when it is read first.

    N rows of a request   U items that are computed   P places of the cache

Nothing is computed of a catalogue's other items, so a new version is ready at once however many
there are, and an item that changes is computed anew by itself. The cache is by item key: rows that
are given to other items do not concern it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.table.key_index import KeyIndex
from headrace.catalogue.words import ContentTable
from headrace.features.aggregation.facts import Ints
from headrace.model.batch import Batch, make_items
from headrace.model.item_factors import WIDTH as FACTORS
from headrace.model.layers.item_tower import ItemCache, ItemSide
from headrace.model.ranker import Ranker, Scored

MOST: Final = 1 << 16  # items that are kept
PART: Final = 1 << 12  # that are computed at once

KeysOf = Callable[[Ints], Ints]


class CachedItems:
    """The item side of one version, for batches whose items are rows of a catalogue.

    When it is full, half of the items leave: those that were not read for longest.
    """

    def __init__(
        self, ranker: Ranker, content: ContentTable, keys_of: KeysOf, most: int = MOST
    ) -> None:
        self._ranker, self._content, self._keys_of, self._most = ranker, content, keys_of, most
        self._lock = threading.Lock()
        self._index, self._turn = KeyIndex(), 0
        self._turn_P = np.zeros(1, np.int64)  # when it was read last
        self._cache = self._computed(np.zeros(1, np.int64))  # place 0 is the unknown item

    def __len__(self) -> int:
        return len(self._index)

    def logits(self, batch: Batch) -> Tensor:
        """[C, K]: of a batch whose items are rows of the catalogue."""
        return self._ranker.serve(*self._placed(batch))

    def scored(self, batch: Batch) -> Scored:
        """The same, with what the last layer reads."""
        return self._ranker.served(*self._placed(batch))

    def _placed(self, batch: Batch) -> tuple[Batch, ItemCache]:
        """The batch over the items that it reads, and these, row by row."""
        row_T, row_C = batch.history.item_BT.reshape(-1), batch.candidates.item_C
        items = self._of(self._keys_of(torch.cat([row_T, row_C]).numpy()))
        place_BT = torch.arange(len(row_T)).view_as(batch.history.item_BT)
        placed = dataclasses.replace(
            batch,
            history=dataclasses.replace(batch.history, item_BT=place_BT),
            candidates=dataclasses.replace(
                batch.candidates, item_C=torch.arange(len(row_T), len(row_T) + len(row_C))
            ),
        )
        return placed, items

    def vectors(self, name: str, row_N: Ints) -> NDArray[np.float32]:
        """[N, D]: the "content" of the items in these rows, or their "factors"."""
        items = self._of(self._keys_of(row_N)).items
        chosen = items.content_XD if name == "content" else items.factor_XE[:, :FACTORS]
        vector_ND: NDArray[np.float32] = chosen.numpy()
        return vector_ND

    def warm(self, keys: Ints) -> None:
        """Compute these items, as many as there is room for, before anybody reads them."""
        for start in range(0, min(len(keys), self._most // 2), PART):
            with self._lock:
                self._places(keys[start : start + PART])

    def warm_keys(self) -> Ints:
        """The keys of the items that were read, the latest last."""
        with self._lock:
            places = self._index.rows()
            return self._index.keys(places[np.argsort(self._turn_P[places], kind="stable")])

    def forget(self, keys: Ints) -> None:
        """Compute these items anew when they are read again."""
        with self._lock:
            self._index.remove(np.unique(keys))

    def _of(self, key_N: Ints) -> ItemCache:
        """The items of these keys, row by row; key 0 is the unknown item."""
        with self._lock:
            place_N = torch.from_numpy(self._places(key_N))
            candidate_NY = self._cache.candidate_XY.index_select(0, place_N)
            return ItemCache(self._cache.items.rows(place_N), candidate_NY, self._cache.widths)

    def _places(self, key_N: Ints) -> Ints:
        """[N]: the places of these items, which are computed where they are not there yet."""
        missing_U = np.unique(key_N[(self._index.find(key_N) == 0) & (key_N != 0)])
        if len(self._index) + len(missing_U) > self._most:
            self._make_room(np.unique(key_N))
            missing_U = np.unique(key_N[(self._index.find(key_N) == 0) & (key_N != 0)])
        for start in range(0, len(missing_U), PART):
            self._add(missing_U[start : start + PART])
        place_N = self._index.find(key_N)
        self._turn += 1
        self._turn_P[place_N] = self._turn
        return place_N

    @torch.inference_mode()
    def _add(self, key_U: Ints) -> None:
        cache = self._computed(key_U)
        place_U = torch.from_numpy(self._index.add(key_U))
        beyond = int(place_U.max()) + 1 - len(self._turn_P)
        if beyond > 0:
            more = max(beyond, min(len(self._turn_P), self._most))
            self._turn_P = np.concatenate([self._turn_P, np.zeros(more, np.int64)])
            self._cache = _joined(self._cache, lambda mine: mine.new_empty(more, mine.shape[1]))
        for mine, new in zip(_tensors(self._cache), _tensors(cache), strict=True):
            mine[place_U] = new

    def _make_room(self, wanted: Ints) -> None:
        """Leave out those that were not read for longest; all where one request wants so many."""
        keep = self._most // 2 - len(wanted)
        kept = self._index.rows()
        kept = kept[np.argsort(-self._turn_P[kept], kind="stable")][: max(keep, 0)]
        gone = np.setdiff1d(self._index.rows(), kept)
        self._index.remove(np.setdiff1d(self._index.keys(gone), wanted))

    @torch.inference_mode()
    def _computed(self, key_U: Ints) -> ItemCache:
        return self._ranker.cache(make_items(key_U, self._content))


def _tensors(cache: ItemCache) -> list[Tensor]:
    items = cache.items
    sides = [getattr(items, field.name) for field in dataclasses.fields(ItemSide)]
    return [*sides, cache.candidate_XY]


def _joined(cache: ItemCache, more: Callable[[Tensor], Tensor]) -> ItemCache:
    """The cache with more places behind its own."""
    *sides, candidate_XY = (torch.cat([one, more(one)]) for one in _tensors(cache))
    return ItemCache(ItemSide(*sides), candidate_XY, cache.widths)
