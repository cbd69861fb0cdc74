"""Merged rows as their topic tells them: the last row of each entity, whatever else lies there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_facts import START_MS, Fact, columns

from headrace.broker.record import Record
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.ownership import Ownership, owner_of
from headrace.features.rows.messages.row_messages import (
    MERGED,
    OF_ALL,
    RowDecoder,
    RowKey,
    merged_messages,
    partial_messages,
    row_key_of,
)
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import START_PARTITION, Rows, blank_rows
from headrace.features.table import CATEGORY, CATEGORY_LAYOUT, ITEM, ITEM_LAYOUT, LIFE
from headrace.skipped import Skipped

NUM_PARTITIONS = 3
IDS = ["7:mug", "pen", "a/b"]


def rows_with(num_shown: int) -> Rows:
    """Rows of the items, each shown so often."""
    rows = blank_rows(ITEM_LAYOUT, len(IDS))
    log = [Fact(entity=n, item=5) for n in range(len(IDS)) for _ in range(num_shown)]
    ITEM_LAYOUT.add(rows["state"], columns(log))
    rows["position"] = num_shown
    return rows


def published(num_shown: int) -> list[Record]:
    return [
        Record(owner_of(about.entity_id, NUM_PARTITIONS), 0, START_MS, about.encoded(), value)
        for about, value in merged_messages(ITEM_LAYOUT, IDS, rows_with(num_shown))
    ]


def reader(skipped: Skipped | None = None, kinds: tuple[str, ...] = (ITEM,)) -> MergedRows:
    decoder = RowDecoder(MERGED, nothing_described, skipped or Skipped())
    return MergedRows(NUM_PARTITIONS, decoder, kinds)


def shown(rows: Rows) -> list[float]:
    return [float(life[0]) for life in rows["state"][ITEM_LAYOUT.field_of[LIFE]]]


def tombstone(record: Record) -> Record:
    return Record(record.partition, 1, START_MS, record.key, b"")


def test_the_last_row_of_each_entity_is_read() -> None:
    new = reader().read(published(1) + published(3))[ITEM]
    assert new.ids == IDS and shown(new.rows) == [3, 3, 3] and not new.gone
    assert reader().read([]) == {}


def test_a_tombstone_forgets_and_a_row_after_it_counts() -> None:
    first, second, third = published(2)
    records = [first, second, third, tombstone(first), tombstone(second), second]
    new = reader().read(records)[ITEM]
    assert new.gone == IDS[:1] and sorted(new.ids) == sorted(IDS[1:])
    new = reader().read([tombstone(first)])[ITEM]
    assert (new.ids, len(new.rows), new.gone) == ([], 0, IDS[:1])


def test_other_kinds_and_what_lay_here_earlier_are_left_out() -> None:
    skipped = Skipped()
    of_category = merged_messages(CATEGORY_LAYOUT, ["toys"], blank_rows(CATEGORY_LAYOUT, 1))
    of_partition = partial_messages({ITEM: (IDS, rows_with(9))})
    others = [
        Record(number, 0, START_MS, about.encoded(), value)
        for about, value in [*of_category, *of_partition]
        for number in range(NUM_PARTITIONS)
    ]
    elsewhere = [
        Record((record.partition + 1) % NUM_PARTITIONS, 0, START_MS, record.key, record.value)
        for record in published(7)  # where the item belonged before the topic grew
    ]
    new = reader(skipped).read([*published(1), *others, *elsewhere])
    assert [*new] == [ITEM] and shown(new[ITEM].rows) == [1, 1, 1] and not skipped.total()
    assert [*reader(kinds=(ITEM, CATEGORY)).read(others)] == [CATEGORY]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"item:pen", b"category:x", b"item/0:pen", b"junk", b"item:", b"\xff"])
            | st.binary(max_size=12),
            st.binary(min_size=1, max_size=40),
        )
    )
)
def test_whatever_bytes_lie_in_the_topic_the_rows_count(junk: list[tuple[bytes, bytes]]) -> None:
    skipped = Skipped()
    records = [Record(owner_of("pen", NUM_PARTITIONS), 9, START_MS, *one) for one in junk]
    new = reader(skipped).read([*published(2), *records])[ITEM]
    assert set(IDS) == set(new.ids) and shown(new.rows) == [2, 2, 2] and not new.gone
    is_counted = [row_key_of(name) is None or name == b"item:pen" for name, _ in junk]
    assert skipped.total() >= sum(is_counted)


@given(
    st.sampled_from([ITEM, CATEGORY]),
    st.text(min_size=1).filter(lambda text: text.isprintable()),
    st.integers(0, START_PARTITION) | st.just(OF_ALL),
)
def test_a_key_is_read_as_it_was_written(entity: str, entity_id: str, source: int) -> None:
    about = RowKey(entity, entity_id, source)
    assert row_key_of(about.encoded()) == about


@pytest.mark.parametrize(
    "payload", [b"user:1", b"item/:1", b"item/-1:1", b"item/x:1", b"item", b""]
)
def test_what_is_no_key_is_none(payload: bytes) -> None:
    assert row_key_of(payload) is None


@pytest.mark.parametrize("num_partitions", [1, 2, 7])
def test_each_entity_has_one_owner_whoever_owns_the_partitions(num_partitions: int) -> None:
    ids = [f"item {number}" for number in range(200)]
    owners = [
        Ownership(frozenset(range(first, num_partitions, 2)), num_partitions) for first in (0, 1)
    ]
    assert all(sum(owner.merges(id_) for owner in owners) == 1 for id_ in ids)
    assert sorted(np.concatenate([owner.others for owner in owners]).tolist()) == [
        *range(num_partitions)
    ]


def test_a_worker_needs_what_it_counts_and_what_it_merges() -> None:
    own = Ownership(frozenset([1]), 2)
    (mine, theirs) = (next(i for i in IDS + ["x", "y", "z"] if owner_of(i, 2) == n) for n in (1, 0))
    needed = {(id_, n): own.needs(RowKey(ITEM, id_, n)) for id_ in (mine, theirs) for n in (0, 1)}
    assert needed == {(mine, 0): True, (mine, 1): True, (theirs, 0): False, (theirs, 1): True}
    assert own.needs(RowKey(ITEM, mine, START_PARTITION))
    assert not own.needs(RowKey(ITEM, mine, 5))  # no stream of two partitions has it
