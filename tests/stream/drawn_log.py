"""Drawn logs of a partition: events of every kind, in and out of windows, copies and junk."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from simulated_worker import DEDUPE_WINDOW, ITEMS, UNKNOWN

from headrace.broker.record import Record
from headrace.event import (
    MAX_AHEAD_MS,
    ActionEvent,
    ClickEvent,
    ImpressionEvent,
    Served,
    Shown,
    encode,
)
from headrace.features.schema import INPUT_SCHEMA

START_MS = 1_714_554_000_000
USERS = {0: ("ann", "bob"), 1: ("cat", "dan")}
OTHERS = {"copy": 2, "late_copy": 1, "junk": 1, "ahead": 1, "far_ahead": 1, "borrowed": 2}
EVERY_KIND = {"known": 3, "opened": 4, "click": 5, "lone_click": 1, "lone_like": 1, "served": 1}
EVERY_KIND |= OTHERS
ONLY_CHOSEN = {"lone_click": 6, "lone_like": 3, **OTHERS}  # no impression among them


def make_log(
    random: Random, number: int, num_events: int, kinds: Mapping[str, int] = EVERY_KIND
) -> list[Record]:
    """So many events of a partition, each kind as often as its weight says."""
    log = DrawnLog(random, number)
    while len(log.records) < num_events:
        (kind,) = random.choices([*kinds], [*kinds.values()])
        log.add(kind)
    return log.records


class DrawnLog:
    """A log that grows by an event of a kind at a time; a method per kind makes its bytes."""

    def __init__(self, random: Random, number: int) -> None:
        self.records: list[Record] = []
        self._random, self._number = random, number
        self._requests: list[ImpressionEvent] = []
        self._arrival_ms = START_MS

    def add(self, kind: str) -> None:
        self._arrival_ms += self._random.choice([0, 1, 20, 100, 400])
        self._name = f"{self._number}-{len(self.records)}"
        self._user, self._items = self._random.choice(USERS[self._number]), self._drawn_items()
        value: bytes = getattr(self, kind)()
        self.records.append(Record(self._number, len(self.records), self._arrival_ms, b"", value))

    def known(self) -> bytes:
        labels = [self._random.choice([True, False]) for _ in self._items]
        shown = [Shown(i, clicked=label) for i, label in zip(self._items, labels, strict=True)]
        return encode(self._impression(*shown))

    def opened(self) -> bytes:
        self._requests.append(self._impression(*map(Shown, self._items)))
        return encode(self._requests[-1])

    def click(self) -> bytes:
        """Of an impression, or of another item under its id."""
        if not self._requests:
            return self.junk()
        of = self._random.choice(self._requests[-4:])
        item = self._random.choice([shown.item_id for shown in of.items] + self._items[:1])
        return encode(ClickEvent(self._name, self._arrival_ms - 5, of.user_id, item, of.request_id))

    def lone_click(self, ahead_ms: int = -5) -> bytes:
        time_ms = self._arrival_ms + ahead_ms
        return encode(ClickEvent(self._name, time_ms, self._user, self._items[0]))

    def lone_like(self) -> bytes:
        time_ms = self._arrival_ms - 5
        return encode(ActionEvent(self._name, time_ms, self._user, self._items[0], "like"))

    def ahead(self) -> bytes:
        return self.lone_click(self._random.randint(1, MAX_AHEAD_MS))

    def far_ahead(self) -> bytes:
        return self.lone_click(self._random.randint(1, MAX_AHEAD_MS) + MAX_AHEAD_MS)

    def borrowed(self) -> bytes:
        """The ids of another user's event."""
        mine, theirs = (b'"user_id":"%s"' % user.encode() for user in USERS[self._number])
        value = self.copy().replace(mine, theirs)
        return value.replace(mine, b'"user_id":"%s"' % self._user.encode())

    def copy(self) -> bytes:
        lately = self.records[-DEDUPE_WINDOW:]
        return self._random.choice(lately).value if lately else self.junk()

    def late_copy(self) -> bytes:
        """Too late to be known as one: it is a new event. Open requests are not opened again."""
        late = [record.value for record in self.records[-3 * DEDUPE_WINDOW :]]
        late = [v for v in late if not any(r.request_id.encode() in v for r in self._requests)]
        return self._random.choice(late) if late else self.junk()

    def served(self) -> bytes:
        """An impression whose features no replica signed."""
        shown = tuple(Shown(item, clicked=True) for item in self._items)
        features = Served(INPUT_SCHEMA, b"", b"")
        of_user = self._arrival_ms, self._user, f"r{self._name}"
        return encode(ImpressionEvent(self._name, *of_user, shown, served=features))

    def junk(self) -> bytes:
        return b'{"type": "click"}'

    def _impression(self, *shown: Shown) -> ImpressionEvent:
        time_ms = self._arrival_ms - 5
        return ImpressionEvent(self._name, time_ms, self._user, f"r{self._name}", shown)

    def _drawn_items(self) -> list[str]:
        """One to five items, some in no catalogue."""
        of_catalogue = ITEMS[self._number]
        items = self._random.sample(of_catalogue, self._random.randint(1, 3))
        strangers = [f"{UNKNOWN}{self._number}{n}" for n in self._random.sample(range(12), 2)]
        num = len(items) + self._random.randint(0, 2)
        return self._random.sample([*items, *strangers], num)
