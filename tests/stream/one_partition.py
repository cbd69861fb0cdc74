"""A stream of one partition for the tests: its log, its owner, and what the owner gave back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown, encode
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.layout import Layout
from headrace.features.inputs import DENSE_NAMES
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import Rows
from headrace.features.table import (
    ITEM_LAYOUT,
    LAST,
    LIFE,
    USER_LAYOUT,
)
from headrace.keys import key
from headrace.positions.commit import Commit
from headrace.sample import Sample
from headrace.stream.step.intake import decode_records
from headrace.stream.step.negatives import NOTHING, Negatives
from headrace.stream.step.partition import Effects, Partition, PartitionSettings

START_MS = 1_714_554_000_000
WINDOW_MS = 1_000
NUMBER = 3
USER_COUNT = DENSE_NAMES.index("user_impressions_log")
ITEM_COUNT = DENSE_NAMES.index("item_impressions_log")
event_ids = (f"e{n}" for n in itertools.count())


def known(request: str, clicked: Sequence[bool], user: str = "ann", at_ms: int = 0) -> Event:
    """A request with one item per label, i0, i1, ..."""
    items = tuple(Shown(f"i{n}", n, label) for n, label in enumerate(clicked))
    return ImpressionEvent(next(event_ids), START_MS + at_ms, user, request, items)


def opened(request: str, *items: str, user: str = "ann", at_ms: int = 0) -> ImpressionEvent:
    shown = tuple(Shown(item_id, n) for n, item_id in enumerate(items))
    return ImpressionEvent(next(event_ids), START_MS + at_ms, user, request, shown)


def click(item: str, request: str | None = None, user: str = "ann", at_ms: int = 0) -> ClickEvent:
    return ClickEvent(next(event_ids), START_MS + at_ms, user, item, request)


@dataclass
class Stream:
    """A log of one partition, its owner, and everything the owner gave back."""

    dedupe_window: int = 100
    merged: MergedState = field(
        default_factory=lambda: MergedState(lambda id_: Item(id_, categories=(f"of-{id_}",)))
    )
    offset: int = 0
    samples: list[Sample] = field(default_factory=list)
    negatives: Negatives = NOTHING

    def __post_init__(self) -> None:
        rules = PartitionSettings(
            self.dedupe_window, WINDOW_MS, lateness_ms=1_000, negatives=self.negatives
        )
        self.partition = Partition(NUMBER, Commit(), self.merged, rules)

    def send(self, *events: Event | bytes, at_ms: int = 0, now_ms: int | None = None) -> Effects:
        """Append events that arrive at this time, and process them."""
        records = []
        for event in events:
            value = event if isinstance(event, bytes) else encode(event)
            records.append(Record(NUMBER, self.offset, START_MS + at_ms, b"", value))
            self.offset += 1
        now_ms = START_MS + (at_ms if now_ms is None else now_ms)
        decoded = decode_records(records, now_ms)
        missing = self.partition.missing_users(decoded)
        attributes = [(key(f"user:{user_id}"),) for user_id in missing]
        self.partition.add_users(missing, [None] * len(missing), attributes)
        effects = self.partition.process(decoded, now_ms)
        self.samples += effects.samples
        return effects

    def labels(self) -> list[tuple[str, int, tuple[int, ...]]]:
        return [(s.request_id, s.sequence, s.clicked) for s in self.samples]

    def shown_clicked(self, item: str) -> list[float]:
        state = self.merged.items.states(self.merged.items.find([item]))
        return counts(ITEM_LAYOUT, state)

    def close(self) -> Effects:
        """The log was read to its end and every window is over."""
        return self.send(now_ms=100 * WINDOW_MS)


def counts(layout: Layout, state_1: State) -> list[float]:
    """Shown and clicked."""
    found: list[float] = state_1[layout.field_of[LIFE]][0, :2].tolist()
    return found


def row_of(changed: tuple[list[str], Rows], entity_id: str) -> Rows:
    ids, rows = changed
    place = ids.index(entity_id)
    return rows[place : place + 1]


def user_counts(effects: Effects, user: str = "ann") -> list[float]:
    return counts(USER_LAYOUT, row_of(effects.changed.users, user)["state"])


def history_of(effects: Effects, user: str = "ann") -> list[tuple[int, int, int]]:
    """Item, time and actions of the user's outcomes, newest first."""
    state = row_of(effects.changed.users, user)["state"][USER_LAYOUT.field_of[LAST]][0]
    return [
        (item, time_ms, action)
        for item, time_ms, action in zip(
            state["item"].tolist(), state["time_ms"].tolist(), state["action"].tolist(), strict=True
        )
        if item
    ]
