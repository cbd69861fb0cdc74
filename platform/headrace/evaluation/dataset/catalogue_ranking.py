"""The ranking of a whole catalogue for one user at one time, by a ranker, as a replica would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.catalogue.numbers import attribute_numbers
from headrace.catalogue.words import ContentTable
from headrace.event import Event
from headrace.events.declared import word_keys
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.asked import AskedItems, Groups, Requests
from headrace.features.inputs import assemble
from headrace.features.rows.item_columns import padded_slots
from headrace.keys import key
from headrace.model.batch import BatchRequest, make_items, make_request_batch
from headrace.model.config import RankerConfig
from headrace.model.layers.item_tower import ItemCache
from headrace.model.ranker import Ranker


class CatalogueRanking:
    """Logits of the click for all items of a catalogue.

    N items   I items with the unknown one in row 0
    """

    def __init__(self, items: Sequence[Item], content: ContentTable, config: RankerConfig) -> None:
        self._content, self._config = content, config
        slot_NS, number_NA = padded_slots([i.categories for i in items]), attribute_numbers(items)
        self._items = AskedItems(np.zeros(len(items), np.int64), slot_NS, number_NA)
        self._key_I = np.array([0, *(key(item.item_id) for item in items)], np.int64)
        self._row_of_key = {item_key: row for row, item_key in enumerate(self._key_I.tolist())}
        self._row_N = np.arange(1, len(self._key_I))
        self._ranker: Ranker | None = None
        self._cache: ItemCache | None = None

    def use(self, ranker: Ranker) -> None:
        """Rank by this ranker as it is now."""
        ranker.eval()
        with torch.inference_mode():
            self._cache = ranker.cache(make_items(self._key_I, self._content))
        self._ranker = ranker

    def logits(
        self,
        event: Event,
        words: tuple[int, ...],
        states: tuple[State, State],
        groups: Groups | None = None,
    ) -> NDArray[np.float32]:
        """[N]: by the states of the event's user, the items and their groups, as of the event."""
        assert self._ranker is not None and self._cache is not None, "no ranker is in use"
        user_1, item_N = states
        (features,) = assemble(
            user_1,
            item_N,
            Requests.of([event.event_time_ms], [event.surface], [event.context]),
            self._items,
            groups,
        )
        request = BatchRequest(
            key(event.user_id),
            words,
            (),
            features,
            surface=self._config.surface_number(event.surface),
            context_words=word_keys(event.context),
        )
        rows_T = [self._row_of_key.get(k, 0) for k in features.history_3T[0].tolist()]
        with torch.inference_mode():
            batch = make_request_batch(request, np.array(rows_T), self._row_N)
            logit_N: NDArray[np.float32] = self._ranker.serve(batch, self._cache)[:, 0].numpy()
        return logit_N
