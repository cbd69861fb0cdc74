"""The re-ranker `over_cap`: so many items of one category, brand or author in a slate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from headrace.application.condition import CATEGORY
from headrace.application.reranking import Caps
from headrace.catalogue.item import Item
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context

Group = tuple[str, str]  # a cap's name, and a category or a value of the attribute


class OverCap:
    """Fills the slate from the top, without items over a cap.

    That comes back where a slate would be short of other items that the user has not seen
    (`Context.over_cap`), unless the caps are strict: then it is removed. It stands behind
    `seen_last`. Pinned items count, and always stay.
    """

    name: Final = "over_cap"

    def __init__(self, caps: Caps) -> None:
        self._most, self._strict = caps.most, caps.strict

    def keep(self, context: Context) -> Kept:
        """The places: those that fill the slate, unseen ones over a cap, and the rest."""
        rows = context.candidates.row_C.tolist()
        seen, counts, filled = set(context.seen_again), self._pinned(context), 0
        fresh, again, over, over_again = list[int](), list[int](), list[int](), list[int]()
        for place, row in enumerate(rows):
            if filled == context.num_items:
                break
            is_seen = row in seen
            if row in context.pinned or self._takes(context.catalogue.item(row), counts):
                (again if is_seen else fresh).append(place)
                filled += 1
            else:
                (over_again if is_seen else over).append(place)
        rest = range(len(fresh) + len(again) + len(over) + len(over_again), len(rows))
        if self._strict:
            return np.array([*fresh, *again, *rest], np.int64)
        context.over_cap = [rows[place] for place in (*over, *over_again)]
        return np.array([*fresh, *over, *again, *over_again, *rest], np.int64)

    def _takes(self, item: Item, counts: Counter[Group]) -> bool:
        """Whether an item is under all caps; it counts then."""
        groups = [*self._groups(item)]
        if any(counts[group] >= self._most[group[0]] for group in groups):
            return False
        counts.update(groups)
        return True

    def _groups(self, item: Item) -> Iterator[Group]:
        for name in self._most:
            if name == CATEGORY:
                yield from ((name, category) for category in dict.fromkeys(item.categories))
        for word in dict.fromkeys(item.attributes):
            name, _, value = word.partition("=")
            if name in self._most and name != CATEGORY:
                yield name, value

    def _pinned(self, context: Context) -> Counter[Group]:
        """The counts of the pinned items that will be in the slate."""
        counts: Counter[Group] = Counter()
        there = set(context.candidates.row_C.tolist())
        for row, position in context.pinned.items():
            if row in there and position < context.num_items:
                counts.update(self._groups(context.catalogue.item(row)))
        return counts
