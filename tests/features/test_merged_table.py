"""The merged table: partial rows of the partitions, merged, each position counted once."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import START_MS, Fact, columns, randoms

from headrace.features.rows.bounds import Share
from headrace.features.rows.merged_table import MergedTable
from headrace.features.rows.state_row import Rows, blank_rows
from headrace.features.schema import STATE_SCHEMA
from headrace.features.table import ITEM_LAYOUT, LIFE

CLICKED = Fact(click=1.0)
SHOWN = Fact(time_ms=START_MS + 1)


def partial(partition: int, position: int, log: Sequence[Fact]) -> Rows:
    """[1]: what a partition publishes about an item after these facts."""
    row = blank_rows(ITEM_LAYOUT, 1, partition)
    ITEM_LAYOUT.add(row["state"], columns(log))
    row["position"] = position
    row["event_time_ms"] = max((fact.time_ms for fact in log), default=0)
    return row


def counts(table: MergedTable, item_id: str) -> list[float]:
    """How often an item was shown and clicked, over all partitions."""
    return counted(table.merged(table.find([item_id])))


def counted(rows: Rows) -> list[float]:
    shown, clicked = rows["state"][ITEM_LAYOUT.field_of[LIFE]][0, :2].tolist()
    return [shown, clicked]


def table_of(*published: tuple[str, Rows]) -> MergedTable:
    """A table that read these rows, one after another."""
    table = MergedTable(ITEM_LAYOUT)
    for item_id, row in published:
        table.apply([item_id], row)
    return table


def test_an_entity_never_seen_has_the_empty_state() -> None:
    table = table_of(("mug", partial(0, 1, [CLICKED])))
    number_N = table.find(["pen", "mug", "cup"])
    assert number_N.tolist() == [-1, 0, -1] and len(table) == 1
    states_N = table.states(number_N)
    assert states_N[[0, 2]].tobytes() == ITEM_LAYOUT.new(2).tobytes()
    assert counts(table, "mug") == [1, 1]
    assert table.states(table.find([])).shape == (0,)


def test_numbers_are_given_in_the_order_of_first_mention() -> None:
    table = MergedTable(ITEM_LAYOUT)
    assert table.indexes(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert table.indexes(["c", "a"]).tolist() == [2, 1]
    assert table.ids == ["b", "a", "c"]
    assert table.states(table.indexes(["c"])).tobytes() == ITEM_LAYOUT.new(1).tobytes()


def test_the_partials_of_the_partitions_add_up() -> None:
    table = table_of(
        ("mug", partial(0, 4, [CLICKED])),
        ("pen", partial(1, 2, [SHOWN])),
        ("mug", partial(1, 9, [SHOWN, SHOWN])),
    )
    assert counts(table, "mug") == [3, 1] and counts(table, "pen") == [1, 0]
    assert table.merged(table.find(["mug"]))["event_time_ms"].tolist() == [START_MS + 1]


def test_a_newer_partial_replaces_that_of_its_partition_only() -> None:
    table = table_of(("mug", partial(0, 4, [CLICKED])), ("mug", partial(1, 4, [SHOWN])))
    assert counts(table, "mug") == [2, 1]
    table.apply(["mug"], partial(0, 5, [CLICKED, SHOWN, SHOWN]))
    assert counts(table, "mug") == [4, 1]


@pytest.mark.parametrize("position", [7, 6, 0])
def test_an_older_or_equal_position_is_ignored(position: int) -> None:
    table = table_of(("mug", partial(0, 7, [CLICKED, CLICKED])))
    table.apply(["mug"], partial(0, position, [SHOWN]))
    assert counts(table, "mug") == [2, 2]


def test_of_several_rows_at_once_the_newest_counts_wherever_it_stands() -> None:
    rows = [partial(0, 9, [CLICKED] * 3), partial(0, 8, [CLICKED]), partial(1, 3, [SHOWN])]
    table = MergedTable(ITEM_LAYOUT)
    table.apply(["mug", "mug", "mug"], np.concatenate(rows))
    assert counts(table, "mug") == [4, 3]
    assert table.partials(table.find(["mug"]), 0)["position"].tolist() == [9]


def test_an_owner_changes_its_partial_and_goes_on_from_what_it_published() -> None:
    table = table_of(("mug", partial(1, 3, [CLICKED])))
    mug = table.indexes(["mug"])
    own = table.partials(mug, 0)
    assert own["position"].tolist() == [-1] and own["partition"].tolist() == [0]
    ITEM_LAYOUT.add(own["state"], columns([SHOWN]))
    own["position"] = 8
    assert counts(table, "mug") == [1, 1]  # a copy, until it is put back
    table.replace(mug, 0, own)
    assert counts(table, "mug") == [2, 1]
    table.apply(["mug"], partial(0, 5, []))  # its own earlier record comes back
    assert counted(table.partials(mug, 0)) == [1, 0]
    assert table.partials(mug, 1)["position"].tolist() == [3]


def test_what_is_read_can_be_changed_without_changing_the_table() -> None:
    table = table_of(("mug", partial(0, 1, [CLICKED])))
    number_N = table.find(["mug", "pen"])
    before = table.merged(number_N).tobytes()
    table.states(number_N)[...] = np.ones(2, ITEM_LAYOUT.dtype)
    table.merged(number_N)["event_time_ms"] = 0
    table.partials(number_N[:1], 0)["position"] = 99
    assert table.merged(number_N).tobytes() == before


def test_thousands_of_entities_in_many_batches() -> None:
    table, random = MergedTable(ITEM_LAYOUT), Random(0)
    ids = [f"i{number}" for number in range(5_000)]
    random.shuffle(ids)
    for partition in (0, 1):
        for start in range(0, len(ids), 700):
            batch = ids[start : start + 700]
            rows = blank_rows(ITEM_LAYOUT, len(batch), partition)
            rows["state"][ITEM_LAYOUT.field_of[LIFE]][:, 0] = [int(id_[1:]) for id_ in batch]
            rows["position"] = start
            table.apply(batch, rows)
            table.states(table.find(batch[:3]))
    states_N = table.states(table.find(f"i{number}" for number in range(5_000)))
    shown_N = states_N[ITEM_LAYOUT.field_of[LIFE]][:, 0]
    assert np.array_equal(shown_N, 2 * np.arange(5_000))
    assert table.merged(table.find(["i7"]))["schema"].tolist() == [STATE_SCHEMA]


@settings(max_examples=40)
@given(
    events=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.booleans()), max_size=15
    ),
    random=randoms(),
)
def test_the_order_in_which_records_are_read_does_not_matter(
    events: list[tuple[str, int, bool]], random: Random
) -> None:
    logs: dict[tuple[str, int], list[Fact]] = {}
    published = []
    for position, (item_id, partition, clicked) in enumerate(events):
        log = logs.setdefault((item_id, partition), [])
        log.append(Fact(click=float(clicked)))
        published.append((item_id, partial(partition, position, log)))
    arrived = random.sample(published, len(published)) + published[:3]  # some come twice
    together = MergedTable(ITEM_LAYOUT)
    if arrived:
        together.apply([id_ for id_, _ in arrived], np.concatenate([row for _, row in arrived]))
    for table in (table_of(*published), table_of(*arrived), together):
        for item_id in "ab":
            own = [clicked for id_, _, clicked in events if id_ == item_id]
            assert counts(table, item_id) == [len(own), sum(own)]


def test_a_row_that_is_forgotten_leaves_those_of_other_partitions_and_room_for_the_next() -> None:
    table = table_of(("mug", partial(0, 5, [CLICKED])), ("mug", partial(1, 5, [CLICKED, SHOWN])))
    table.forget(["mug", "never seen"], 0)
    table.forget(["mug"], 7)
    assert counts(table, "mug") == [2, 1]
    table.apply(["pen"], partial(0, 1, [SHOWN]))
    table.apply(["mug"], partial(0, 2, [CLICKED]))  # of a lower position than what is forgotten
    assert counts(table, "mug") == [3, 2] and counts(table, "pen") == [1, 0]


def flooded(*known: str) -> MergedTable:
    """A table that knows these, and has forgotten the ten thousand strangers who came between."""
    table = MergedTable(ITEM_LAYOUT, known.__contains__, Share(20_000, expire_ms=1_000))
    strangers = [f"x{number}" for number in range(10_000)]
    table.apply([known[0]], partial(0, 5, [CLICKED]))
    for partition in (0, 1):
        table.apply(strangers, np.tile(partial(partition, 7, [SHOWN]), len(strangers)))
    for item_id in known[1:]:
        table.apply([item_id], partial(1, 3, [SHOWN]))
    table.end_step(now_ms=5_000)
    table.end_step(now_ms=7_000)
    assert table.num_unknown == 0
    return table


def test_the_memory_that_forgotten_entities_had_is_given_back() -> None:
    table = flooded("mug")
    alone = table_of(("mug", partial(0, 5, [CLICKED])))
    assert table.num_bytes < alone.num_bytes + 10_000 and counts(table, "mug") == [1, 1]
    table.apply(["x0", "x9", "y"], np.tile(partial(0, 9, [SHOWN]), 3))
    assert counts(table, "x9") == counts(table, "y") == [1, 0] and counts(table, "mug") == [1, 1]


def test_the_lowest_free_numbers_are_given_first_so_that_the_end_gets_free() -> None:
    table = flooded("mug", "pen")  # the pen's number comes after all of them
    new = [f"y{number}" for number in range(10)]
    table.apply(new, np.tile(partial(0, 9, [SHOWN]), len(new)))
    assert max(table.find(new)) < 12
    assert counts(table, "y3") == counts(table, "pen") == [1, 0]


def plainly_merged(rows: Sequence[Rows]) -> bytes:
    """The rows of an entity's partitions, merged one after the other."""
    merged = blank_rows(ITEM_LAYOUT, 1)
    for row in rows:
        ITEM_LAYOUT.merge(merged["state"], row["state"])
        merged["event_time_ms"] = np.maximum(merged["event_time_ms"], row["event_time_ms"])
        merged["position"] += row["position"] + 1
    return merged.tobytes()


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.sampled_from("tfr")),
        max_size=25,
    )
)
def test_whatever_comes_and_goes_a_merged_row_is_that_of_the_rows_that_there_are(
    steps: list[tuple[str, int, str]],
) -> None:
    table, rows = MergedTable(ITEM_LAYOUT), dict[str, dict[int, Rows]]()
    in_turn = dict.fromkeys(partition for _, partition, step in steps if step == "t")
    for position, (item_id, partition, step) in enumerate(steps):
        of_item = rows.setdefault(item_id, {})
        if step == "t":
            of_item[partition] = partial(partition, position, [CLICKED, SHOWN][: 1 + position % 2])
            table.apply([item_id], of_item[partition])
        elif step == "f":
            of_item.pop(partition, None)
            table.forget([item_id], partition)
        else:
            found = table.merged(table.find([item_id]))
            assert found.tobytes() == plainly_merged([of_item[n] for n in in_turn if n in of_item])
    for item_id, of_item in rows.items():
        found = table.merged(table.find([item_id]))
        assert found.tobytes() == plainly_merged([of_item[n] for n in in_turn if n in of_item])


def test_the_row_of_an_item_that_one_partition_speaks_of_is_there_once() -> None:
    ids, size = [f"i{number}" for number in range(5_000)], blank_rows(ITEM_LAYOUT, 1).nbytes
    table, sizes = MergedTable(ITEM_LAYOUT), []
    for partition in (0, 1):
        table.apply(ids, np.tile(partial(partition, 1, [SHOWN]), len(ids)))
        table.merged(table.find(ids))
        sizes.append(table.num_bytes / len(ids) / size)
    assert sizes[0] < 1.4 and sizes[1] < 3.8  # with room for more
