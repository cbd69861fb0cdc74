"""A shop of twelve items, and requests to it, for the tests of the request path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace import event
from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.event import Event, ImpressionEvent, Shown
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.companions import COMPANION_LAYOUT
from headrace.features.rows.merged import MergedState
from headrace.features.store.last_items import Entries, decode_items
from headrace.pipeline.context import Context, User
from headrace.pipeline.sessions import SessionMemory
from headrace.positions.commit import Commit
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import Partition, PartitionSettings

NOW_MS = 1_714_554_000_000
CATEGORIES = ("tea", "mugs", "pens")
ITEMS = tuple(Item(f"i{n}", f"item {n}", (CATEGORIES[n % 3],)) for n in range(1, 13))
CATALOGUE = table_of(ITEMS)  # the item of row n is i<n>


@dataclass(frozen=True)
class Companions:
    """The companions of items by row, none unless said."""

    of: Mapping[int, State] = field(default_factory=dict)

    def take(self, row_N: Ints) -> State:
        states = COMPANION_LAYOUT.new(len(row_N))
        for place, row in enumerate(row_N.tolist()):
            states[place] = self.of.get(row, states[place])
        return states


@dataclass(frozen=True)
class Trends:
    """A snapshot in which these rows trend."""

    trending_rows: Ints
    companions: Companions = Companions()
    sessions: SessionMemory = field(default_factory=SessionMemory)
    surface_trends: Mapping[int, State] = field(default_factory=dict)
    towers: None = None  # there is no model

    def vectors(self, name: str, row_N: Ints) -> None:
        """There is no model."""


def request(trending: Sequence[int] = range(1, 13), **more: Any) -> Context:
    """A request for three items, by somebody new if no user is given."""
    asked = {"user_id": "ann", "now_ms": NOW_MS, "num_items": 3, "catalogue": CATALOGUE, **more}
    asked = {"snapshot": Trends(np.array(trending, np.int64)), **asked}
    return Context(**asked)


def user_who(*shown: Shown) -> User:
    """A user who was shown these, one a minute, as the stream would have it."""
    return user_of(
        *(
            ImpressionEvent(f"e{n}", NOW_MS - 60_000 * (len(shown) - n), "ann", f"r{n}", (one,))
            for n, one in enumerate(shown)
        )
    )


def user_of(*events: Event) -> User:
    """A user whose these events are, as the stream would have it."""
    items = {item.item_id: item for item in ITEMS}
    partition = Partition(0, Commit(), MergedState(items.get), PartitionSettings(100, 100))
    partition.add_users(["ann"], [None], [()])
    records = [Record(0, n, NOW_MS, b"", event.encode(one)) for n, one in enumerate(events)]
    changed = partition.process(decode_records(records, NOW_MS), NOW_MS).changed
    lists = {seen.name: each_once(decode_items(seen.payloads[0])) for seen in changed.seen}
    return User(changed.users[1]["state"], lists=lists)


def each_once(entries: Entries) -> Entries:
    """The newest entry of each item, as Redis keeps them."""
    _, first = np.unique(entries["item"], return_index=True)
    return entries[np.sort(first)]


def clicked(*item_ids: str) -> User:
    """A user who was shown these items and clicked each."""
    return user_who(*(Shown(item_id, clicked=True) for item_id in item_ids))
