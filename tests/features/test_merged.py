"""The merged state: rows out to the topic and in again, and the catalogue of the items in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_facts import START_MS, Fact, columns

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.features.companions import COMPANIONS
from headrace.features.rows.bounds import Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.messages.row_messages import SHARED, partial_messages
from headrace.features.rows.state_row import Rows, blank_rows, encode_rows, row_dtype
from headrace.features.schema import STATE_SCHEMA
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.features.table import (
    CAMPAIGN,
    CATEGORY,
    CATEGORY_LAYOUT,
    ITEM,
    ITEM_LAYOUT,
    LIFE,
    SHARED_LAYOUTS,
    USER,
)
from headrace.keys import key
from headrace.skipped import Skipped

ITEMS = {"7:mug": Item("7:mug", categories=("kitchen", "gifts"), attributes=("author=Ann",))}
CHANGED_IDS = {ITEM: ["7:mug", "pen"], CATEGORY: ["author=Ann", "kitchen"], CAMPAIGN: ["spring"]}


def changed(partition: int, position: int) -> dict[str, tuple[list[str], Rows]]:
    """Rows of every kind of entity that one partition changed; of n-th entities, n clicks."""
    found = {}
    for layout in SHARED_LAYOUTS:
        ids = CHANGED_IDS[layout.entity]
        rows = blank_rows(layout, len(ids), partition)
        log = [Fact(entity=n, click=1.0, item=5) for n in range(len(ids)) for _ in range(n + 1)]
        layout.add(rows["state"], columns(log))
        rows["position"], rows["event_time_ms"] = position, START_MS
        found[layout.entity] = (ids, rows)
    return found


def records(messages: dict[str, tuple[list[str], Rows]], partition: int = 0) -> list[Record]:
    return [
        Record(partition, offset, START_MS, about.encoded(), value)
        for offset, (about, value) in enumerate(partial_messages(messages))
    ]


def tombstone(record: Record) -> Record:
    """The message that deletes another one from a compacted topic."""
    return Record(record.partition, record.offset + 100, START_MS, record.key, b"")


def shown(merged: MergedState, item_id: str) -> float:
    """How often an item was shown, over all partitions."""
    state = merged.items.states(merged.items.find([item_id]))
    return float(state[ITEM_LAYOUT.field_of[LIFE]][0, 0])


def test_what_a_partition_publishes_is_what_others_read() -> None:
    merged, published = MergedState(ITEMS.get), changed(partition=2, position=40)
    mentioned = merged.apply(records(published, 2))
    assert mentioned == CHANGED_IDS
    for entity, (ids, rows) in published.items():
        table = merged.tables[entity]
        assert table.partials(table.find(ids), 2).tobytes() == rows.tobytes()
        assert table.states(table.find(ids)).tobytes() == rows["state"].tobytes()


def test_a_record_read_again_counts_once() -> None:
    once, twice = MergedState(ITEMS.get), MergedState(ITEMS.get)
    published = records(changed(0, 1)) + records(changed(1, 1), 1)
    once.apply(published)
    twice.apply(published + published[:2])
    assert twice.apply(published) == CHANGED_IDS
    for entity, ids in CHANGED_IDS.items():
        states = [s.tables[entity].merged(s.tables[entity].find(ids)) for s in (once, twice)]
        assert states[0].tobytes() == states[1].tobytes()


def test_items_that_are_read_are_met_in_the_catalogue() -> None:
    merged = MergedState(ITEMS.get)
    merged.apply(records(changed(0, 1)))
    number_N = merged.items.find(["7:mug", "pen"])
    assert merged.catalogue.keys(number_N).tolist() == [key("7:mug"), key("pen")]
    groups_G = merged.catalogue.groups(number_N)[0]
    names = [merged.categories.ids[number] for number in groups_G[groups_G >= 0]]
    assert names == ["author=Ann", "kitchen", "gifts"]


def test_nothing_read_changes_nothing() -> None:
    merged = MergedState(ITEMS.get)
    assert merged.apply([]) == {} and not list(partial_messages({}))
    assert not any(len(table) for table in merged.tables.values())


def test_a_tombstone_lets_the_row_of_its_partition_be_forgotten() -> None:
    merged = MergedState(ITEMS.get)
    first, second = records(changed(0, 9)), records(changed(1, 9), 1)
    merged.apply(first + second)
    before = shown(merged, "7:mug")
    assert merged.apply([tombstone(first[0])]) == {ITEM: ["7:mug"]}
    assert shown(merged, "7:mug") == before / 2
    merged.apply([tombstone(second[0])])
    assert shown(merged, "7:mug") == 0 and shown(merged, "pen") > 0
    merged.apply(records(changed(0, 3)))  # what is published after it counts, whatever it includes
    assert shown(merged, "7:mug") == before / 2


def test_a_tombstone_forgets_what_came_before_it_and_not_what_came_after() -> None:
    merged, (row, *_), (again, *_) = MergedState(ITEMS.get), records(changed(0, 9)), records(
        changed(0, 5)
    )  # fmt: skip
    merged.apply([row, tombstone(row), again])
    (known,) = merged.items.partials(merged.items.find(["7:mug"]), 0)
    assert known["position"] == 5
    merged.apply([row, tombstone(row)])
    assert shown(merged, "7:mug") == 0


def test_a_tombstone_of_what_was_never_known_changes_nothing() -> None:
    merged = MergedState(ITEMS.get)
    merged.apply([tombstone(records(changed(0, 1))[0])])
    assert len(merged.items) == 0 and merged.apply(records(changed(0, 1))) == CHANGED_IDS


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"", b"x", "no key of a row"),
        (b"\xff\xfe", b"x", "no key of a row"),
        (b"item/0:", b"x", "no key of a row"),
        (b"item:mug", b"x", "no key of a row"),  # a merged row's
        (b"user/0:mug", b"x", "no key of a row"),
        (b"item/99999999999:mug", b"x", "no key of a row"),
        (b"item/0:mug", b"\xff\x00garbage", "no row"),
        (b"item/0:mug", b"x", "no row"),
        (b"item/0:mug", encode_rows(blank_rows(CATEGORY_LAYOUT, 1))[0], "no row"),
        (b"item/0:mug", encode_rows(blank_rows(ITEM_LAYOUT, 1))[0] + b"x", "no row"),
        (
            b"item/0:mug",
            encode_rows(blank_rows(ITEM_LAYOUT, 1, 1))[0],
            "a row of another partition",
        ),
    ],
)
def test_what_is_no_row_is_passed_over_and_counted(key: bytes, value: bytes, reason: str) -> None:
    skipped = Skipped()
    merged = MergedState(ITEMS.get, skipped=skipped)
    good = records(changed(0, 1))
    mentioned = merged.apply([good[0], Record(0, 77, START_MS, key, value), *good[1:]])
    assert mentioned == CHANGED_IDS and skipped.counts() == {("item-partials", reason): 1}
    (kind,) = skipped.report()
    assert kind.first.startswith("partition 0 offset 77: ")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e300])
def test_a_row_with_numbers_that_no_events_lead_to_is_passed_over(number: float) -> None:
    rows = blank_rows(ITEM_LAYOUT, 1)
    rows["state"][ITEM_LAYOUT.field_of[LIFE]][0, 0] = number
    skipped = Skipped()
    merged = MergedState(ITEMS.get, skipped=skipped)
    assert merged.apply(records({ITEM: (["mug"], rows)})) == {}
    assert skipped.counts() == {("item-partials", "no row"): 1}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"item/0:mug", b"category/0:x", b"campaign/0:y", b"junk"])
            | st.binary(max_size=12),
            st.binary(max_size=40)
            | st.integers(0, 2**32).map(
                lambda seed: (
                    STATE_SCHEMA.to_bytes(4, "little")
                    + np.random.default_rng(seed).bytes(row_dtype(ITEM_LAYOUT).itemsize - 4)
                )
            ),
        )
    )
)
def test_whatever_bytes_lie_in_the_topic_the_rows_count(
    messages: list[tuple[bytes, bytes]],
) -> None:
    skipped = Skipped()
    merged = MergedState(ITEMS.get, skipped=skipped)
    for offset, message in enumerate(messages):
        merged.apply([Record(0, offset, START_MS, *message)])
    merged.apply(records(changed(0, 1)))
    alone = MergedState(ITEMS.get)
    alone.apply(records(changed(0, 1)))
    assert shown(merged, "7:mug") == shown(alone, "7:mug")
    assert skipped.total() + sum(not value for _, value in messages) >= len(messages)


def test_users_are_not_merged() -> None:
    assert USER not in MergedState(ITEMS.get).tables
    assert [*MergedState(ITEMS.get).tables] == [
        ITEM,
        CATEGORY,
        CAMPAIGN,
        COMPANIONS,
        SURFACE_TRENDS,
    ]


def test_all_rows_of_an_item_that_left_are_forgotten_and_those_of_one_that_came_stay() -> None:
    known, share = {"mug"}, Share(10, expire_ms=1_000)
    merged = MergedState(
        lambda id_: Item(id_) if id_ in known else None, bounds=Bounds(share, share)
    )
    ids = ["mug", "pen"]
    for layout in (ITEM_LAYOUT, SHARED[COMPANIONS]):
        rows = blank_rows(layout, len(ids))
        rows["position"] = 3
        merged.apply(records({layout.entity: (ids, rows)}))
    known ^= {"mug", "pen"}
    assert merged.follow_items(ids) == {ITEM: ["pen"], COMPANIONS: ["pen"]}
    assert merged.end_step(5_000) == {}
    gone = merged.end_step(7_000)
    assert {kind: [one.entity_id for one in of_kind] for kind, of_kind in gone.items()} == {
        ITEM: ["mug"],
        COMPANIONS: ["mug"],
    }
    assert merged.tables[COMPANIONS].all_ids() == merged.items.all_ids() == ["pen"]
