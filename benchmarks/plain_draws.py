"""What is drawn beside a positive, worked out one number at a time from the log alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from headrace.action import TABLE
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent

WISHES = [row.name for row in TABLE if row.wish]
MASK = (1 << 64) - 1
UNIT = 1 << 10
RECOUNT_EVERY = 4_096


def mixed(bits: int) -> int:
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & MASK
    return bits ^ bits >> 31


def is_chosen(event: Event) -> bool:
    """Whether it says by itself that its item was chosen."""
    if isinstance(event, ActionEvent):
        return event.action in WISHES and not event.takes_back
    return isinstance(event, ClickEvent)


@dataclass
class PlainDraws:
    """The positives of a partition's log so far, by offset, and the rules of the draw."""

    item_ids: Sequence[str]
    per_positive: int
    popularity: float
    dedupe_window: int
    positives: list[tuple[int, str]] = field(default_factory=list)

    def weights(self, offset: int) -> tuple[int, dict[str, int]]:
        """What all items share evenly, and what those of positives have beside it."""
        every = 1
        while 2 * every <= min(RECOUNT_EVERY, self.dedupe_window // 4):
            every *= 2
        window = self.dedupe_window - every
        while every > 1 and 16 * every > 1 << offset.bit_length():
            every //= 2
        end = offset // every * every
        start = end - window
        counts = Counter(
            item for at, item in self.positives if start <= at < end and item in self.item_ids
        )
        own = {
            item: round(UNIT * ((1 + num) ** self.popularity - 1))
            for item, num in sorted(counts.items(), key=lambda one: self.item_ids.index(one[0]))
        }
        even = UNIT * len(self.item_ids)
        return min(even, sum(own.values())) if any(own.values()) else even, own

    def add(self, offset: int, event: Event) -> None:
        """Take in what an event says was chosen."""
        if isinstance(event, ImpressionEvent):
            chosen = [shown.item_id for shown in event.items if shown.clicked]
        else:
            chosen = [event.item_id] if is_chosen(event) else []
        self.positives += [(offset, item) for item in chosen]

    def drawn(
        self, partition: int, offset: int, chosen: str
    ) -> tuple[tuple[str, ...], list[float]]:
        """The items, the chosen one first, and log q of each; the chosen one alone where there is
        nothing to draw."""
        items = [chosen]
        if chosen not in self.item_ids:
            return (chosen,), []
        even, own = self.weights(offset)
        total = even + sum(own.values())
        seed = mixed(mixed(partition + 1) + offset & MASK)
        for step in count(1):
            if len(items) == min(1 + self.per_positive, len(self.item_ids)):
                break
            number = mixed(seed + step * 0x9E3779B97F4A7C15 & MASK) % total
            item = self.item_ids[number * len(self.item_ids) // even] if number < even else ""
            number -= even
            for one, weight in own.items():
                if not item and number < weight:
                    item = one
                number -= weight
            if item not in items:
                items.append(item)
        shared = even / len(self.item_ids)
        log_q = [math.log((shared + own.get(item, 0)) / total) for item in items]
        return tuple(items), log_q if len(items) > 1 else []
