"""Pinned items: a source that proposes them, and the re-ranker that puts each at its position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from headrace.application.reranking import Pin
from headrace.catalogue.table.table import ItemTable
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context

PINNED: Final = "pinned"


class Pins:
    """The source and the re-ranker `pinned`, of a request whose pins are `Context.pinned`.

    They are filtered like others, but for `seen`.
    """

    name: Final = PINNED

    def __init__(self, pins: Sequence[Pin]) -> None:
        self._pins = tuple(pins)

    def of(self, catalogue: ItemTable, surface: str) -> Mapping[int, int]:
        """The positions of the items that are pinned on a surface, by catalogue row."""
        here = [pin for pin in self._pins if not pin.surfaces or surface in pin.surfaces]
        rows = catalogue.rows_of_ids([pin.item for pin in here]).tolist() if here else []
        return {row: pin.position for row, pin in zip(rows, here, strict=True) if row}

    def candidates(self, context: Context, limit: int) -> Ints:
        """The pinned rows."""
        return np.array([*context.pinned], np.int64)

    def keep(self, context: Context) -> Kept:
        """The places: the pinned items at their positions, or last where a slate is too short for
        that, and the others around them as they are."""
        rows = context.candidates.row_C.tolist()
        pinned = sorted(
            (context.pinned[row], place)
            for place, row in enumerate(rows)
            if context.pinned.get(row, context.num_items) < context.num_items
        )
        moved = {place for _, place in pinned}
        places = [place for place in range(len(rows)) if place not in moved]
        for position, place in pinned:
            places.insert(position, place)
        return np.array(places, np.int64)
