"""Item states of a replica: the accumulators of its catalogue's items, merged from the topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.bounds import NOTHING, Bounds
from headrace.features.rows.merged import MergedState
from headrace.features.rows.schemas import RowSchemas
from headrace.features.table import ITEM, ITEM_LAYOUT
from headrace.skipped import Skipped
from serving.replica.catalogue import Catalogue


class ItemStates:
    """States by catalogue row, and the rows that trend; each change makes new arrays.

    I rows of the catalogue
    """

    def __init__(
        self,
        items: Mapping[str, Item],
        catalogue: Catalogue,
        schemas: RowSchemas,
        skipped: Skipped,
        clock: Callable[[], int],
    ) -> None:
        self._catalogue, self._clock = catalogue, clock
        known = Bounds(NOTHING, NOTHING)
        self._merged = MergedState(items.get, schemas.description, skipped, known)
        self.state_I = ITEM_LAYOUT.new(len(catalogue.items))
        self.trending_rows: Ints = np.arange(1, len(catalogue.items))

    def take(self, records: Sequence[Record]) -> bool:
        """Apply records of the items' states; returns whether one of the catalogue changed."""
        changed = self._merged.apply(records).get(ITEM, ())
        self._merged.end_step(self._clock())  # what is in no catalogue is not recommended
        known = [item_id for item_id in changed if item_id in self._catalogue.row_of_id]
        if not known:
            return False
        state_I = self.state_I.copy()
        rows = [self._catalogue.row_of_id[item_id] for item_id in known]
        state_I[rows] = self._merged.items.states(self._merged.items.find(known))
        self.state_I, self.trending_rows = state_I, self._trending(state_I)
        return True

    def _trending(self, state_I: State) -> Ints:
        """Catalogue rows by the clicks of the recent past, best first."""
        now_ms_I = np.full(len(state_I), self._clock())
        clicks_I = ITEM_LAYOUT.value("item_clicks_lately_log", state_I, now_ms_I)
        rate_I = ITEM_LAYOUT.value("item_click_rate_lately", state_I, now_ms_I)
        popularity_I = clicks_I * rate_I
        popularity_I[0] = -1.0
        return np.argsort(-popularity_I, kind="stable")[:-1]
