"""Beyond accuracy: coverage, diversity, novelty, fresh items and popularity bias of slates.

I rows of the catalogue   N items of a slate
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from headrace.catalogue.table.table import ItemTable

FRESH_MS: Final = 86_400_000  # since anything was heard of an item first


class Beyond:
    """The make-up of slates, whoever wants them."""

    def __init__(self, catalogue: ItemTable) -> None:
        num_rows = catalogue.num_rows
        self._catalogue = catalogue
        self._count_I, self._first_ms_I = np.zeros(num_rows), np.full(num_rows, -1)
        self._is_shown_I = np.zeros(num_rows, np.bool_)
        self._num_slates, self._num_items, self._num_fresh = 0, 0, 0
        self._novelty = self._popularity = self._chosen = self._diversity = 0.0
        self._num_chosen = self._num_diverse = 0

    def hear(self, now_ms: int, rows: list[int], chosen: list[int]) -> None:
        """Take in that a user had to do with these rows, and chose those."""
        for row in rows:
            if self._first_ms_I[row] < 0:
                self._first_ms_I[row] = now_ms
        for row in chosen:
            self._count_I[row] += 1

    def add(self, now_ms: int, slate: list[int], chosen: frozenset[int]) -> None:
        """Take in a slate, and the next choice."""
        row_N, total = np.array(slate, np.int64), self._count_I.sum() + len(self._count_I)
        self._is_shown_I[row_N] = True
        self._num_slates += 1
        self._num_items += len(row_N)
        first_ms_N = self._first_ms_I[row_N]
        self._num_fresh += int(((first_ms_N < 0) | (now_ms - first_ms_N <= FRESH_MS)).sum())
        self._novelty += float(-np.log2((self._count_I[row_N] + 1) / total).sum())
        self._popularity += float(self._count_I[row_N].sum())
        self._chosen += sum(float(self._count_I[row]) for row in chosen)
        self._num_chosen += len(chosen)
        self._add_diversity(row_N)

    def report(self) -> dict[str, float | None]:
        """The share of the catalogue that was in a slate; the share of a slate's pairs without a
        category in common; the mean of -log2 of the share of choices; the share of items that were
        heard of first within a day, or never; choices of a slate's item over
        those of the one that came."""
        items, chosen = max(self._num_items, 1), max(self._num_chosen, 1)
        of_chosen = self._chosen / chosen
        return {
            "coverage": round(float(self._is_shown_I.sum()) / max(len(self._catalogue), 1), 5),
            "diversity": _mean(self._diversity, self._num_diverse),
            "novelty": _mean(self._novelty, self._num_items),
            "fresh": _mean(self._num_fresh, self._num_items),
            "popularity_bias": _mean(self._popularity / items, of_chosen),
        }

    def _add_diversity(self, row_N: Any) -> None:
        bits_N = self._catalogue.slot_bits(row_N)
        bits_N = bits_N[bits_N != 0]
        if len(bits_N) > 1:
            place_P, other_P = np.triu_indices(len(bits_N), 1)
            self._diversity += float((bits_N[place_P] & bits_N[other_P] == 0).mean())
            self._num_diverse += 1


def _mean(total: float, num: float) -> float | None:
    return round(total / num, 5) if num else None
