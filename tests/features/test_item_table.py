"""The item table: partial states of the partitions, merged, each record counted once."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.broker import Record
from headrace.features.aggregators import Outcome, State
from headrace.features.item_table import ItemTable
from headrace.features.state import Row, encode_row, fresh_row
from headrace.features.table import ITEM_LAYOUT

NOW_MS = 1_714_554_000_000
FIRST_CLICK = Outcome(1, NOW_MS, shown=1, clicked=1)
NO_CLICK = Outcome(1, NOW_MS + 1, shown=1, clicked=0)


def partial(partition: int, position: int, outcomes: Sequence[Outcome]) -> Row:
    """What a partition publishes after these outcomes."""
    row = fresh_row(partition, ITEM_LAYOUT)
    for outcome in outcomes:
        ITEM_LAYOUT.add(row.state_W, outcome)
        row.event_time_ms = max(row.event_time_ms, outcome.time_ms)
    row.position = position
    return row


def record(item_id: str, row: Row) -> Record:
    return Record(row.partition, 0, NOW_MS, item_id.encode(), encode_row(row))


def counts(state_W: State) -> list[float]:
    return ITEM_LAYOUT.part(state_W, "item_click_rate").tolist()


def test_an_item_never_seen_has_the_empty_state() -> None:
    table = ItemTable()
    table.apply([record("mug", partial(0, 1, [FIRST_CLICK]))])
    states_NW = table.states_NW(["pen", "mug", "cup"])
    assert states_NW.shape == (3, ITEM_LAYOUT.width)
    assert states_NW[0].tobytes() == states_NW[2].tobytes() == ITEM_LAYOUT.empty.tobytes()
    assert counts(states_NW[1]) == [1, 1]
    assert table.states_NW([]).shape == (0, ITEM_LAYOUT.width)
    assert len(table) == 1


def test_the_partials_of_the_partitions_add_up() -> None:
    table = ItemTable()
    mentioned = table.apply(
        [
            record("mug", partial(0, 4, [FIRST_CLICK])),
            record("pen", partial(1, 2, [NO_CLICK])),
            record("mug", partial(1, 9, [NO_CLICK, NO_CLICK])),
        ]
    )
    assert mentioned == ["mug", "pen"]
    assert counts(table.states_NW(["mug"])[0]) == [3, 1]
    assert counts(table.states_NW(["pen"])[0]) == [1, 0]
    row = table.merged_row("mug")
    assert counts(row.state_W) == [3, 1] and row.event_time_ms == NOW_MS + 1


def test_a_newer_partial_replaces_its_partition_only() -> None:
    table = ItemTable()
    table.apply([record("mug", partial(0, 4, [FIRST_CLICK]))])
    table.apply([record("mug", partial(1, 4, [NO_CLICK]))])
    assert counts(table.states_NW(["mug"])[0]) == [2, 1]
    table.apply([record("mug", partial(0, 5, [FIRST_CLICK, NO_CLICK, NO_CLICK]))])
    assert counts(table.states_NW(["mug"])[0]) == [4, 1]


def test_an_older_or_equal_position_is_ignored() -> None:
    table = ItemTable()
    table.apply([record("mug", partial(0, 7, [FIRST_CLICK, FIRST_CLICK]))])
    for position in (7, 6, 0):
        assert table.apply([record("mug", partial(0, position, [NO_CLICK]))]) == ["mug"]
        assert counts(table.states_NW(["mug"])[0]) == [2, 2]


def test_the_owner_changes_its_partial_in_place() -> None:
    table = ItemTable()
    table.apply([record("mug", partial(1, 3, [FIRST_CLICK]))])
    own = table.partial("mug", 0)
    assert own.position == -1 and own.partition == 0
    assert counts(table.states_NW(["mug"])[0]) == [1, 1]
    own = table.partial("mug", 0)
    ITEM_LAYOUT.add(own.state_W, NO_CLICK)
    own.position = 8
    assert counts(table.states_NW(["mug"])[0]) == [2, 1]
    table.apply([record("mug", partial(0, 5, []))])  # its own earlier record comes back
    assert table.partial("mug", 0) is own and counts(own.state_W) == [1, 0]


def test_an_owner_goes_on_from_the_partial_it_published() -> None:
    table = ItemTable()
    table.apply([record("mug", partial(2, 3, [FIRST_CLICK]))])
    assert table.partial("mug", 2).position == 3
    assert counts(table.partial("mug", 2).state_W) == [1, 1]


def test_what_is_read_can_be_changed_without_changing_the_table() -> None:
    table = ItemTable()
    table.apply([record("mug", partial(0, 1, [FIRST_CLICK]))])
    table.states_NW(["mug", "pen"])[:] = 5
    assert counts(table.states_NW(["mug"])[0]) == [1, 1]
    assert table.states_NW(["pen"])[0].tobytes() == ITEM_LAYOUT.empty.tobytes()


def test_more_items_than_the_first_capacity() -> None:
    table = ItemTable()
    for number in range(2_500):
        table.apply([record(f"i{number}", partial(0, number, [FIRST_CLICK] * (number % 3)))])
        if number % 500 == 0:
            table.states_NW([f"i{number}"])
    states_NW = table.states_NW([f"i{number}" for number in range(2_500)])
    shown_N = ITEM_LAYOUT.part(states_NW, "item_click_rate")[:, 0]
    assert np.array_equal(shown_N, np.arange(2_500) % 3)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.booleans()), max_size=15),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_partitions_are_read_does_not_matter(
    events: list[tuple[str, int, bool]], random: Random
) -> None:
    histories: dict[tuple[str, int], list[Outcome]] = {}
    published = []
    for position, (item_id, partition, clicked) in enumerate(events):
        seen = histories.setdefault((item_id, partition), [])
        seen.append(Outcome(1, NOW_MS, 1, int(clicked)))
        published.append(record(item_id, partial(partition, position, seen)))
    table, shuffled = ItemTable(), ItemTable()
    table.apply(published)
    for one in random.sample(published, len(published)):
        shuffled.apply([one])
    for item_id in "ab":
        own = [clicked for item, _, clicked in events if item == item_id]
        expected = [len(own), sum(own)]
        assert counts(table.states_NW([item_id])[0]) == expected
        assert counts(shuffled.states_NW([item_id])[0]) == expected
