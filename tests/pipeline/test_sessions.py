"""The memory of sessions: those that share most with one, as far back as there is room."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.pipeline.sessions import SessionMemory

Sessions = dict[str, list[int]]


def remembered(sessions: Sessions, most: int = 16) -> SessionMemory:
    memory = SessionMemory(most)
    for user_id, rows in sessions.items():
        memory.remember(user_id, rows)
    return memory


def near(memory: SessionMemory, user_id: str, rows: list[int]) -> dict[int, float]:
    return dict(zip(*(one.tolist() for one in memory.near(user_id, rows)), strict=True))


def test_rows_of_the_session_that_shares_more_come_first() -> None:
    memory = remembered({"a": [1, 2, 7], "b": [2, 8], "c": [3, 9]})
    found = near(memory, "me", [1, 2])
    total = 1.5 + 1 + 1  # what both sessions share, and one of nothing
    assert found[7] == pytest.approx(1.5 / sqrt(3) / total)
    assert found[8] == pytest.approx(1 / sqrt(2) / total)
    assert 9 not in found


def test_a_session_grows_and_another_of_its_user_is_another() -> None:
    memory = remembered({"a": [1]})
    memory.remember("a", [1, 5])
    assert near(memory, "me", [1])[5] == pytest.approx(1 / sqrt(2) / 2)
    memory.remember("a", [6, 7])
    assert {*near(memory, "me", [1])} == {1, 5} and {*near(memory, "me", [6])} == {6, 7}


def test_nobody_is_his_own_neighbour() -> None:
    assert near(remembered({"a": [1, 2]}), "a", [1]) == {}


def test_the_oldest_sessions_are_forgotten() -> None:
    memory = remembered({f"u{n}": [n, 99] for n in range(1, 21)}, most=4)
    assert {*near(memory, "me", [99])} == {17, 18, 19, 20, 99}
    assert near(memory, "me", [3]) == {}


@given(
    st.dictionaries(
        st.text(max_size=2),
        st.lists(st.integers(1, 9), min_size=1, max_size=6, unique=True),
        max_size=12,
    ),
    st.lists(st.integers(1, 9), max_size=5, unique=True),
)
def test_scores_are_those_of_a_plain_count(sessions: Sessions, rows: list[int]) -> None:
    scores, total = Counter[int](), 1.0
    for user_id, others in sessions.items():
        share = sum((rows.index(row) + 1) / len(rows) for row in others if row in rows)
        if share and user_id != "me":
            scores.update({row: share / sqrt(len(others)) for row in others})
            total += share
    expected = {row: score / total for row, score in scores.items()}
    assert near(remembered(sessions), "me", rows) == pytest.approx(expected)
