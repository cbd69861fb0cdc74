"""The rows of users in memory: bounded, and of this partition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from one_partition import (
    NUMBER,
)
from pytest import MonkeyPatch

from headrace.features.rows import user_table
from headrace.features.rows.state_row import blank_rows
from headrace.features.rows.user_table import UserTable
from headrace.features.table import (
    USER_LAYOUT,
)


def test_users_beyond_the_memory_are_asked_for_again() -> None:
    table = UserTable(NUMBER, capacity=4)
    for step in range(3):
        ids = [f"u{step}a", f"u{step}b"]
        table.add(ids, blank_rows(USER_LAYOUT, 2, NUMBER), [(step,)] * 2)
        table.end_step()
    assert table.missing(f"u{step}{name}" for step in range(3) for name in "ab") == [
        *("u0a", "u0b", "u1a")
    ]
    assert table.attributes_of("u2b") == (2,)


def test_users_nobody_announced_have_a_share_of_the_memory() -> None:
    table = UserTable(NUMBER, capacity=100, max_unknown=4)
    table.add(["ann"], blank_rows(USER_LAYOUT, 1, NUMBER), [()])
    table.end_step()
    for step in range(10):
        table.add([f"x{step}"], blank_rows(USER_LAYOUT, 1, NUMBER), [()], [True])
        assert table.are_unknown(table.indexes([f"x{step}", "ann"])).tolist() == [True, False]
        table.end_step()
    assert "ann" not in table.missing(["ann"])
    kept = {f"x{n}" for n in range(10)} - set(table.missing(f"x{n}" for n in range(10)))
    assert kept <= {"x6", "x7", "x8", "x9"} and "x9" in kept


def test_rows_of_another_partition_start_anew_in_the_log() -> None:
    table = UserTable(NUMBER, capacity=4)
    rows = blank_rows(USER_LAYOUT, 1, NUMBER + 1)
    rows["position"] = 99
    table.add(["ann"], rows, [()])
    row = table.read(table.indexes(["ann"]))
    assert (row["position"], row["partition"]) == (-1, NUMBER)


def test_users_whose_rows_were_forgotten_are_told_from_new_ones_once() -> None:
    table = UserTable(NUMBER, capacity=4)
    for step in range(3):
        table.add([f"u{step}a", f"u{step}b"], blank_rows(USER_LAYOUT, 2, NUMBER), [()] * 2)
        table.end_step()
    assert table.forgotten_among(["new", "u0a", "u1a", "u2a"]) == 2
    assert table.forgotten_among(["u0a", "u1a", "u0b"]) == 1


def test_of_many_forgotten_users_a_bounded_sample_is_known(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(user_table, "MAX_FORGOTTEN", 100)
    table = UserTable(NUMBER, capacity=10)
    users = [f"u{number}" for number in range(5_000)]
    for user in users:
        table.add([user], blank_rows(USER_LAYOUT, 1, NUMBER), [()])
        table.end_step()
    assert 10 < table.forgotten_among(users) <= 100


@given(st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=30))
def test_every_user_has_their_own_row_whoever_was_forgotten(steps: list[list[int]]) -> None:
    table = UserTable(NUMBER, capacity=10)
    positions: dict[str, int] = {}
    for step, numbers in enumerate(steps):
        ids = [f"u{number}" for number in dict.fromkeys(numbers)]
        missing = table.missing(ids)
        stored = blank_rows(USER_LAYOUT, len(missing), NUMBER)
        stored["position"] = [positions.get(user_id, -1) for user_id in missing]
        table.add(missing, stored, [(ord(user_id[-1]),) for user_id in missing])
        places = table.indexes(ids)
        rows = table.read(places)
        assert rows["position"].tolist() == [positions.get(user_id, -1) for user_id in ids]
        assert [table.ids[place] for place in places] == ids
        assert all(table.attributes_of(user_id) == (ord(user_id[-1]),) for user_id in ids)
        rows["position"] = step
        table.write(places, rows)
        positions.update(dict.fromkeys(ids, step))
        table.end_step()
        assert sum(user_id not in table.missing(positions) for user_id in positions) <= 10
