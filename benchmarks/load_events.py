"""Events for a stream under load, and the recount of a log of them."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from benchmarks.plain_draws import PlainDraws, is_chosen
from headrace.action import ACTIONS, BIT
from headrace.broker.record import Record
from headrace.errors import InvalidEvent
from headrace.event import (
    ActionEvent,
    ClickEvent,
    Event,
    ImpressionEvent,
    Shown,
    decode,
    encode,
    told_by,
)
from headrace.features.aggregation.facts import CLICK, COUNTED, SHOWN
from headrace.features.store.last_items import USER_HIDES
from headrace.keys import key

NUM_USERS, NUM_ITEMS, YEAR_MS = 300, 100, 365 * 86_400_000
SHARE_OF_OLD = 0.02
USERS, ITEMS = [f"u{n}" for n in range(NUM_USERS)], [f"i{n}" for n in range(NUM_ITEMS)]


class Recount:
    """The reference counts of a log, event by event in the plainest way."""

    def __init__(self, records: Sequence[Record], draws: PlainDraws) -> None:
        self.num_accepted = self.num_duplicates = 0
        self.bad: set[bytes] = set()
        self.num_rejected = 0  # a sender whose broker is killed may send one twice
        self.drawn: dict[tuple[int, int], tuple[int, ...]] = {}  # items by partition and offset
        self.outcomes: dict[tuple[int, int], list[int]] = {}  # of items, the same
        self.hidden: dict[tuple[str, str], dict[int, int]] = {}  # seconds by item, of lists
        self._draws = defaultdict[int, PlainDraws](lambda: replace(draws, positives=[]))
        self._counts: Counter[tuple[str, str, str]] = Counter()
        seen: set[str] = set()
        for record in records:
            try:
                event = decode(record.value, record.arrival_ms)
            except InvalidEvent:
                self.bad.add(record.value)
                self.num_rejected += 1
                continue
            if event.event_id in seen:
                self.num_duplicates += 1
            else:
                seen.add(event.event_id)
                self.num_accepted += 1
                self._count(event, (record.partition, record.offset))
                self._draw(event, record)
            self._draws[record.partition].add(record.offset, event)

    def users(self, user_id: str) -> list[float]:
        """Counts in the order of `COUNTED`."""
        return [self._counts["user", user_id, measure] for measure in COUNTED]

    def items(self, item_id: str) -> list[float]:
        return [self._counts["item", item_id, measure] for measure in COUNTED]

    def _draw(self, event: Event, record: Record) -> None:
        if not isinstance(event, ImpressionEvent) and is_chosen(event):
            draws, place = self._draws[record.partition], (record.partition, record.offset)
            items, _ = draws.drawn(*place, event.item_id)
            self.drawn[place] = tuple(map(key, items))

    def _count(self, event: Event, place: tuple[int, int]) -> None:
        if isinstance(event, ImpressionEvent):
            for one in event.items:
                told = zip(ACTIONS, one.told, strict=True)
                came = dict.fromkeys([name for name, did in told if did], 1)
                self._add(event, one.item_id, {SHOWN: 1, **came})
                self.outcomes.setdefault(place, []).append(sum(BIT[name] for name in came))
            return
        action = event.action if isinstance(event, ActionEvent) else CLICK
        measures = {action: -1 if isinstance(event, ActionEvent) and event.takes_back else 1}
        if is_chosen(event):
            measures |= {SHOWN: 1, CLICK: 1}
            self.outcomes[place] = [BIT[CLICK] | BIT[action]]
        self._add(event, event.item_id, measures)

    def _add(self, event: Event, item_id: str, measures: dict[str, int]) -> None:
        for measure, num in measures.items():
            self._counts["user", event.user_id, measure] += num
            self._counts["item", item_id, measure] += num
            if f"user_hides_{measure}" in USER_HIDES:
                times_s = self.hidden.setdefault((event.user_id, f"user_hides_{measure}"), {})
                times_s[key(item_id)] = event.event_time_ms // 1_000 if num > 0 else 0


def any_event(draw: random.Random, number: int, items: Sequence[str]) -> Event:
    """A request whose outcome is known, or what was done without one."""
    if draw.random() < 0.3:
        return acted_event(draw, number, items)
    user, now_ms = _who_and_when(draw)
    shown = []
    for place, item in enumerate(draw.sample(items, draw.choice([1, 1, 3]))):
        others = {name: draw.random() < 0.1 for name in ACTIONS if name != CLICK}
        told = told_by({CLICK: draw.random() < 0.3, **others})
        shown.append(Shown(item, place, **told))
    return ImpressionEvent(f"e{number}", now_ms, user, f"r{number}", tuple(shown))


def acted_event(draw: random.Random, number: int, items: Sequence[str]) -> Event:
    """An action without any impression, most often a wish; some take back what they did."""
    user, now_ms = _who_and_when(draw)
    item, action = items[int(draw.random() ** 2 * len(items))], draw.choice([CLICK, *ACTIONS])
    if action == CLICK:
        return ClickEvent(f"e{number}", now_ms, user, item)
    is_back = draw.random() < 0.2
    return ActionEvent(f"e{number}", now_ms, user, item, action, taken_back=is_back)


def _who_and_when(draw: random.Random) -> tuple[str, int]:
    """A user and a time; some are of 25 years ago."""
    user, now_ms = USERS[int(draw.random() ** 2 * NUM_USERS)], int(time.time() * 1_000)
    return user, now_ms - (25 * YEAR_MS if draw.random() < SHARE_OF_OLD else 0)


def bad(draw: random.Random, event: Event) -> bytes:
    """The event years ahead, with its time in seconds, or cut off."""
    time_ms = event.event_time_ms
    wrong_ms = draw.choice([time_ms + 40 * YEAR_MS, time_ms // 1_000, None])
    if wrong_ms is None:
        return encode(event)[:-2]
    return encode(msgspec.structs.replace(event, event_time_ms=wrong_ms))
