"""The items that a version has read: its item side, computed once per item, when it is read first.

    N rows of a request   T past events   C candidates   U items that are computed   P places of
    the cache   D width   W width of an item's content   Y all of a candidate

Nothing is computed of a catalogue's other items, so a new version is ready at once however many
there are, and an item that changes is computed anew by itself. The cache is by item key: rows that
are given to other items do not concern it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from headrace.catalogue.table.key_index import KeyIndex, longer
from headrace.catalogue.words import ContentTable
from headrace.features.aggregation.facts import Ints
from headrace.model.batch import Batch, BatchRequest, make_items
from headrace.model.inference.affine import Floats
from headrace.model.inference.request import RequestRanker
from headrace.model.inference.user import PastItems
from headrace.model.item_factors import WIDTH as FACTORS
from headrace.model.layers.item_tower import ItemCache, ItemSide
from headrace.model.ranker import Ranker, Scored

MOST: Final = 1 << 16  # items that are kept
PART: Final = 1 << 12  # that are computed at once

KeysOf = Callable[[Ints], Ints]


@dataclass(slots=True)
class _Sides:
    """Both sides of the items in their places; of a candidate all lies side by side."""

    vector_PD: Floats
    content_PW: Floats
    candidate_PY: Floats

    def __len__(self) -> int:
        return len(self.vector_PD)

    def put(self, place_U: Ints, new: _Sides) -> None:
        """Put items into these places."""
        for field in dataclasses.fields(self):
            getattr(self, field.name)[place_U] = getattr(new, field.name)

    def lengthen(self, num: int) -> None:
        """Have room for so many."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, longer(getattr(self, field.name), num))


class CachedItems:
    """The item side of one version, for requests whose items are rows of a catalogue.

    When it is full, half of the items leave: those that were not read for longest.
    """

    def __init__(
        self, ranker: Ranker, content: ContentTable, keys_of: KeysOf, most: int = MOST
    ) -> None:
        self._ranker, self._content, self._keys_of, self._most = ranker, content, keys_of, most
        self._requests = RequestRanker(ranker)
        self._lock = threading.Lock()
        self._index, self._turn = KeyIndex(), 0
        self._turn_P = np.zeros(1, np.int64)  # when it was read last
        self._parts: list[slice] = []  # of a candidate's side
        self._sides = self._computed(np.zeros(1, np.int64))  # place 0 is the unknown item

    def __len__(self) -> int:
        return len(self._index)

    def logits(self, request: BatchRequest, past_row_T: Ints, row_C: Ints) -> Floats:
        """[C, K]: of candidates; they and the items of past events, the newest first, are rows of
        the catalogue."""
        num_past = self._requests.num_past(request)
        key_N = self._keys_of(np.concatenate([past_row_T[:num_past], row_C]))
        with self._lock:
            place_N = self._places(key_N)
            past_T, sides = place_N[:num_past], self._sides
            vector_TD, content_TW = sides.vector_PD[past_T], sides.content_PW[past_T]
            candidate_CY = sides.candidate_PY.take(place_N[num_past:], axis=0)
        of_candidates = [candidate_CY[:, part] for part in self._parts]
        return self._requests.logits(request, PastItems(vector_TD, content_TW), of_candidates)

    def scored(self, batch: Batch) -> Scored:
        """The ranker's own forward of a batch whose items are rows of the catalogue, with what the
        last layer reads."""
        row_T, row_C = batch.history.item_BT.reshape(-1), batch.candidates.item_C
        place_BT = torch.arange(len(row_T)).view_as(batch.history.item_BT)
        place_C = torch.arange(len(row_T), len(row_T) + len(row_C))
        placed = dataclasses.replace(
            batch,
            history=dataclasses.replace(batch.history, item_BT=place_BT),
            candidates=dataclasses.replace(batch.candidates, item_C=place_C),
        )
        return self._ranker.served(placed, self._of(torch.cat([row_T, row_C]).numpy()))

    def _of(self, row_N: Ints) -> ItemCache:
        """The items of these rows, row by row."""
        key_N = self._keys_of(row_N)
        with self._lock:
            place_N, sides = self._places(key_N), self._sides
            taken = (getattr(sides, field.name)[place_N] for field in dataclasses.fields(sides))
            vector_ND, content_NW, candidate_NY = map(torch.from_numpy, taken)
        widths = tuple(part.stop - part.start for part in self._parts)
        *_, bias_NK, factor_NE = torch.split(candidate_NY, list(widths), -1)
        return ItemCache(ItemSide(vector_ND, content_NW, bias_NK, factor_NE), candidate_NY, widths)

    def vectors(self, name: str, row_N: Ints) -> Floats:
        """[N, D]: the "content" of the items in these rows, or their "factors"."""
        key_N = self._keys_of(row_N)
        with self._lock:
            place_N, sides = self._places(key_N), self._sides
            if name == "content":
                return sides.content_PW[place_N]
            return sides.candidate_PY[place_N, self._parts[-1]][:, :FACTORS]

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

    def _places(self, key_N: Ints) -> Ints:
        """[N]: the places of these items, which are computed where they are not there yet."""
        place_N = self._index.find(key_N)
        if len(missing := key_N[(place_N == 0) & (key_N != 0)]):
            self._compute(np.unique(missing), key_N)
            place_N = self._index.find(key_N)
        self._turn += 1
        self._turn_P[place_N] = self._turn
        return place_N

    def _compute(self, missing_U: Ints, wanted_N: Ints) -> None:
        """Compute the items that are missing of those that are wanted."""
        if len(self._index) + len(missing_U) > self._most:
            self._make_room(np.unique(wanted_N))
            missing_U = np.unique(wanted_N[(self._index.find(wanted_N) == 0) & (wanted_N != 0)])
        for start in range(0, len(missing_U), PART):
            self._add(missing_U[start : start + PART])

    def _add(self, key_U: Ints) -> None:
        new, place_U = self._computed(key_U), self._index.add(key_U)
        beyond = int(place_U.max()) + 1 - len(self._turn_P)
        if beyond > 0:
            num = len(self._turn_P) + max(beyond, min(len(self._turn_P), self._most))
            self._turn_P = longer(self._turn_P, num)
            self._sides.lengthen(num)
        self._sides.put(place_U, new)

    def _make_room(self, wanted: Ints) -> None:
        """Leave out those that were not read for longest; all where one request wants so many."""
        keep = self._most // 2 - len(wanted)
        kept = self._index.rows()
        kept = kept[np.argsort(-self._turn_P[kept], kind="stable")][: max(keep, 0)]
        gone = np.setdiff1d(self._index.rows(), kept)
        self._index.remove(np.setdiff1d(self._index.keys(gone), wanted))

    @torch.inference_mode()
    def _computed(self, key_U: Ints) -> _Sides:
        cache = self._ranker.cache(make_items(key_U, self._content))
        ends = np.cumsum(cache.widths).tolist()
        self._parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        items = (cache.items.vector_XD, cache.items.content_XD, cache.candidate_XY)
        return _Sides(*(tensor.float().cpu().numpy() for tensor in items))
