"""The rows of users in memory: bounded, and of this partition."""

from __future__ import annotations

from one_partition import (
    NUMBER,
)

from headrace.features.state import fresh_rows
from headrace.features.table import (
    USER_LAYOUT,
)
from headrace.stream.user_table import UserTable


def test_users_beyond_the_memory_are_asked_for_again() -> None:
    table = UserTable(NUMBER, capacity=4)
    for step in range(3):
        ids = [f"u{step}a", f"u{step}b"]
        table.add(ids, fresh_rows(USER_LAYOUT, 2, NUMBER), [(step,)] * 2)
        table.end_step()
    assert table.missing(f"u{step}{name}" for step in range(3) for name in "ab") == [
        *("u0a", "u0b", "u1b")
    ]
    assert table.attributes_of("u2b") == (2,)


def test_rows_of_another_partition_start_anew_in_the_log() -> None:
    table = UserTable(NUMBER, capacity=4)
    rows = fresh_rows(USER_LAYOUT, 1, NUMBER + 1)
    rows["position"] = 99
    table.add(["ann"], rows, [()])
    row = table.read(table.numbers(["ann"]))
    assert (row["position"], row["partition"]) == (-1, NUMBER)
