"""Events for a stream under load, and the recount of a log of them."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from benchmarks.plain_draws import PlainDraws
from headrace.action import TABLE
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
)
from headrace.features.aggregation.facts import CLICK, SHOWN
from headrace.keys import key

NUM_USERS, NUM_ITEMS, YEAR_MS = 300, 100, 365 * 86_400_000
SHARE_OF_OLD = 0.02
WISHES = [row.name for row in TABLE if row.wish and row.name != CLICK]
USERS, ITEMS = [f"u{n}" for n in range(NUM_USERS)], [f"i{n}" for n in range(NUM_ITEMS)]


class Recount:
    """The reference counts of a log, event by event in the plainest way."""

    def __init__(self, records: Sequence[Record], draws: PlainDraws) -> None:
        self.num_accepted = self.num_duplicates = 0
        self.bad: set[bytes] = set()
        self.num_rejected = 0  # a sender whose broker is killed may send one twice
        self.drawn: dict[tuple[int, int], tuple[int, ...]] = {}  # items by partition and offset
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
                self._count(event)
                self._draw(event, record)
            self._draws[record.partition].add(record.offset, event)

    def users(self, user_id: str) -> tuple[int, int]:
        return self._counts["user", user_id, SHOWN], self._counts["user", user_id, CLICK]

    def items(self, item_id: str) -> tuple[int, int]:
        return self._counts["item", item_id, SHOWN], self._counts["item", item_id, CLICK]

    def _draw(self, event: Event, record: Record) -> None:
        if not isinstance(event, ImpressionEvent):
            draws, place = self._draws[record.partition], (record.partition, record.offset)
            items, _ = draws.drawn(*place, event.item_id)
            self.drawn[place] = tuple(map(key, items))

    def _count(self, event: Event) -> None:
        shown = (
            event.items if isinstance(event, ImpressionEvent) else (Shown(event.item_id, 0, True),)
        )
        for one in shown:
            for kind, entity_id in (("user", event.user_id), ("item", one.item_id)):
                self._counts[kind, entity_id, SHOWN] += 1
                self._counts[kind, entity_id, CLICK] += bool(one.clicked)


def any_event(draw: random.Random, number: int) -> Event:
    """A request whose outcome is known, or what was chosen without one."""
    if draw.random() < 0.2:
        return chosen_event(draw, number)
    user, now_ms = _who_and_when(draw)
    items = draw.sample(ITEMS, draw.choice([1, 1, 3]))
    shown = tuple(Shown(item, n, draw.random() < 0.3) for n, item in enumerate(items))
    return ImpressionEvent(f"e{number}", now_ms, user, f"r{number}", shown)


def chosen_event(draw: random.Random, number: int) -> Event:
    """A click or another wish, without any impression."""
    user, now_ms = _who_and_when(draw)
    item, action = ITEMS[int(draw.random() ** 2 * NUM_ITEMS)], draw.choice([CLICK, *WISHES])
    if action == CLICK:
        return ClickEvent(f"e{number}", now_ms, user, item)
    return ActionEvent(f"e{number}", now_ms, user, item, action)


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
