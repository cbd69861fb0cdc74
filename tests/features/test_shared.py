"""The shared state: rows out to the topic and in again, and the catalogue of the items in it."""

from __future__ import annotations

import numpy as np
import pytest
from plain_facts import START_MS, Fact, columns

from headrace.broker import Record
from headrace.datasets.dataset import Item
from headrace.errors import ServiceError
from headrace.features.shared import SharedState, topic_messages
from headrace.features.state import Rows, fresh_rows
from headrace.features.table import CAMPAIGN, CATEGORY, ITEM, SHARED_LAYOUTS, USER
from headrace.keys import key

ITEMS = {"7:mug": Item("7:mug", categories=("kitchen", "gifts"), attributes=("author=Ann",))}
CHANGED_IDS = {ITEM: ["7:mug", "pen"], CATEGORY: ["author=Ann", "kitchen"], CAMPAIGN: ["spring"]}


def changed(partition: int, position: int) -> dict[str, tuple[list[str], Rows]]:
    """Rows of every kind of entity that one partition changed; of n-th entities, n clicks."""
    found = {}
    for layout in SHARED_LAYOUTS:
        ids = CHANGED_IDS[layout.entity]
        rows = fresh_rows(layout, len(ids), partition)
        log = [Fact(entity=n, click=1.0, item=5) for n in range(len(ids)) for _ in range(n + 1)]
        layout.add(rows["state"], columns(log))
        rows["position"], rows["event_time_ms"] = position, START_MS
        found[layout.entity] = (ids, rows)
    return found


def records(messages: dict[str, tuple[list[str], Rows]]) -> list[Record]:
    return [
        Record(0, offset, START_MS, *message)
        for offset, message in enumerate(topic_messages(messages))
    ]


def test_what_a_partition_publishes_is_what_others_read() -> None:
    shared, published = SharedState(ITEMS.get), changed(partition=2, position=40)
    mentioned = shared.apply(records(published))
    assert mentioned == CHANGED_IDS
    for entity, (ids, rows) in published.items():
        table = shared.tables[entity]
        assert table.partials(table.find(ids), 2).tobytes() == rows.tobytes()
        assert table.states(table.find(ids)).tobytes() == rows["state"].tobytes()


def test_a_record_read_again_counts_once() -> None:
    once, twice = SharedState(ITEMS.get), SharedState(ITEMS.get)
    published = records(changed(0, 1)) + records(changed(1, 1))
    once.apply(published)
    twice.apply(published + published[:2])
    assert twice.apply(published) == CHANGED_IDS
    for entity, ids in CHANGED_IDS.items():
        states = [s.tables[entity].merged(s.tables[entity].find(ids)) for s in (once, twice)]
        assert states[0].tobytes() == states[1].tobytes()


def test_items_that_are_read_are_met_in_the_catalogue() -> None:
    shared = SharedState(ITEMS.get)
    shared.apply(records(changed(0, 1)))
    number_N = shared.items.find(["7:mug", "pen"])
    assert shared.catalogue.keys(number_N).tolist() == [key("7:mug"), key("pen")]
    groups_G = shared.catalogue.groups(number_N)[0]
    names = [shared.categories.ids[number] for number in groups_G[groups_G >= 0]]
    assert names == ["author=Ann", "kitchen", "gifts"]


def test_nothing_read_changes_nothing() -> None:
    shared = SharedState(ITEMS.get)
    assert shared.apply([]) == {} and not list(topic_messages({}))
    assert [len(table) for table in shared.tables.values()] == [0, 0, 0]


def test_a_row_of_another_feature_table_is_refused() -> None:
    (record, *_) = records(changed(0, 1))
    value = bytes([record.value[0] ^ 1]) + record.value[1:]
    with pytest.raises(ServiceError, match="NAMESPACE"):
        SharedState(ITEMS.get).apply([Record(0, 0, START_MS, record.key, value)])


def test_users_are_not_shared() -> None:
    assert USER not in SharedState(ITEMS.get).tables
    assert np.array_equal(list(SharedState(ITEMS.get).tables), [ITEM, CATEGORY, CAMPAIGN])
