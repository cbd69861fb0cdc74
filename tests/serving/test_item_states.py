"""Item states of a replica: as the topic's last row says, whenever the item comes and goes."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.features.companions import COMPANION_LAYOUT, COMPANIONS
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.row_messages import (
    MERGED,
    RowDecoder,
    RowKey,
    merged_messages,
)
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import blank_rows
from headrace.features.surface_trends import SURFACE_LAYOUT, SURFACE_TRENDS, trends_of
from headrace.features.table import ITEM, ITEM_LAYOUT, LIFE
from headrace.skipped import Skipped
from serving.replica import item_states
from serving.replica.item_states import ItemStates

NOW_MS = 1_700_000_000_000
KINDS = (ITEM, COMPANIONS, SURFACE_TRENDS)


class Replica:
    """Items that come and go, and rows of a topic of one partition."""

    def __init__(self, *item_ids: str) -> None:
        self.table = table_of(map(Item, item_ids))
        rows = MergedRows(1, RowDecoder(MERGED, nothing_described, Skipped()), KINDS)
        self.states = ItemStates(self.table, rows, lambda: NOW_MS)

    def tell(self, **shown: int) -> bool:
        rows = blank_rows(ITEM_LAYOUT, len(shown))
        rows["state"][ITEM_LAYOUT.field_of[LIFE]][:, 0] = [*shown.values()]
        messages = merged_messages(ITEM_LAYOUT, [*shown], rows)
        return self.states.take([Record(0, 0, NOW_MS, a.encoded(), v) for a, v in messages])

    def forget(self, item_id: str) -> bool:
        return self.states.take([Record(0, 0, NOW_MS, RowKey(ITEM, item_id).encoded(), b"")])

    def follow(self, put: list[str], removed: list[str]) -> None:
        gone = self.table.remove(removed, NOW_MS)
        self.states.follow_items(self.table.put(map(Item, put), NOW_MS), gone)

    def shown(self, *item_ids: str) -> list[float]:
        states = self.states.states.take(self.table.rows_of_ids(item_ids))
        found: list[float] = states[ITEM_LAYOUT.field_of[LIFE]][:, 0].tolist()
        return found


def test_the_last_row_of_an_item_counts_and_a_tombstone_ends_it() -> None:
    replica = Replica("mug", "pen")
    assert replica.tell(mug=3, pen=1) and replica.tell(mug=5)
    assert replica.shown("mug", "pen") == [5, 1]
    assert not replica.states.take([])
    assert replica.forget("mug") and replica.shown("mug", "pen") == [0, 1]


def test_an_item_that_comes_back_has_its_state() -> None:
    replica = Replica("mug", "pen")
    replica.tell(mug=3, pen=1)
    replica.follow([], ["mug"])
    assert replica.shown("mug", "pen") == [0, 1]
    replica.follow(["cup", "mug"], [])
    assert replica.shown("mug", "pen", "cup") == [3, 1, 0]


def test_an_item_that_comes_after_its_row_has_it() -> None:
    replica = Replica("pen")
    assert not replica.tell(mug=3) and not replica.tell(mug=4, cup=9, jar=1)
    assert not replica.forget("cup")
    replica.follow(["mug", "cup"], [])
    assert replica.shown("mug", "cup") == [4, 0]
    assert replica.tell(mug=5) and replica.shown("mug") == [5]


def test_few_states_are_kept_of_what_is_in_no_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_states, "MAX_APART", 3)
    replica, ids = Replica("pen"), [f"x{number}" for number in range(10)]
    for item_id in ids:
        replica.tell(**{item_id: 1})
    replica.follow(ids, [])
    assert np.flatnonzero(replica.shown(*ids)).tolist() == [7, 8, 9]


def test_companions_are_those_of_the_items_in_the_catalogue() -> None:
    replica = Replica("mug", "pen")
    (name,) = COMPANION_LAYOUT.field_of.values()
    rows = blank_rows(COMPANION_LAYOUT, 2)
    rows["state"][name]["top"]["key"][:, 0] = [7, 8]
    told = [
        Record(0, 0, NOW_MS, about.encoded(), value)
        for about, value in merged_messages(COMPANION_LAYOUT, ["mug", "no item"], rows)
    ]

    def keys(*item_ids: str) -> list[int]:
        states = replica.states.companions.take(replica.table.rows_of_ids(item_ids))
        found: list[int] = states[name]["top"]["key"][:, 0].tolist()
        return found

    before = replica.states.companions
    assert replica.states.take(told) and keys("mug", "pen") == [7, 0]
    assert not before.take(np.arange(3))[name]["top"]["key"].any()
    replica.follow(put=[], removed=["mug"])
    replica.follow(put=["mug"], removed=[])
    assert keys("mug", "pen") == [0, 0]
    gone = Record(0, 0, NOW_MS, RowKey(COMPANIONS, "mug").encoded(), b"")
    assert replica.states.take(told) and replica.states.take([gone]) and keys("mug") == [0]


def test_what_trends_on_a_surface_is_as_its_last_row_says() -> None:
    replica, (name,) = Replica("mug"), SURFACE_LAYOUT.field_of.values()

    def tell(surface: str, item_key: int) -> bool:
        rows = blank_rows(SURFACE_LAYOUT, 1)
        rows["state"][name]["top"]["key"][0, 0] = item_key
        rows["state"][name]["top"]["sum"][0, 0] = 2.0
        ((about, value),) = merged_messages(SURFACE_LAYOUT, [surface], rows)
        return replica.states.take([Record(0, 0, NOW_MS, about.encoded(), value)])

    before = replica.states.surface_trends
    assert tell("17", 5) and tell("18", 6) and tell("17", 7) and tell("no byte", 8)
    found = replica.states.surface_trends
    assert {byte: trends_of(one, 0).tolist() for byte, one in found.items()} == {17: [7], 18: [6]}
    assert before == {}
