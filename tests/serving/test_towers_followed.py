"""The tower vectors of a replica: those of other towers are made beside it, and miss nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.catalogue.words import ContentTable
from headrace.model.tower_vectors import TowerVectors, stamp_of
from headrace.model.two_tower import TwoTower
from serving.replica import towers
from serving.replica.towers import FollowedTowers

NOTHING = np.zeros(0, np.int64)


def state_of(number: int) -> dict[str, Any]:
    """The state of towers that differ by this number."""
    made = TwoTower()
    made.wished.weight.data *= number
    return made.state(with_optimizer=False)


@pytest.fixture
def table() -> ItemTable:
    return table_of(Item(f"i{n}", f"film {n}") for n in range(1, 9))


@pytest.fixture
def followed(table: ItemTable, tmp_path: Path) -> FollowedTowers:
    return FollowedTowers(table, ContentTable(table), tmp_path)


def found(vectors: TowerVectors, table: ItemTable) -> set[int]:
    query = vectors.of_user(NOTHING, np.zeros(0, np.float32), ())
    return {*table.rows_of_keys(vectors.index.nearest(query, 100)).tolist()}


def test_the_same_towers_are_made_once_and_others_anew(
    table: ItemTable, followed: FollowedTowers
) -> None:
    followed.take(state_of(1), 1)
    first = followed.made
    followed.take(state_of(1), 2)
    assert first is not None and followed.made is first
    followed.take(state_of(2), 3)
    followed.take(state_of(1), 2)  # a version before it
    second = followed.made
    assert second is not None and second.stamp == stamp_of(state_of(2)) != first.stamp
    assert found(second, table) == set(range(1, 9))


def test_of_many_items_the_ones_before_answer_while_they_are_made(
    table: ItemTable, followed: FollowedTowers, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.take(state_of(1), 1)
    first = followed.made
    monkeypatch.setattr(towers, "FEW", 0)
    go_on = waits(monkeypatch)
    followed.take(state_of(2), 2)
    followed.take(state_of(3), 3)
    assert followed.made is first
    keys = table.keys(table.put([Item("new", "film 9")], 0))
    followed.follow(keys, table.keys(np.array([3])))
    go_on()
    second = followed.made
    assert second is not None and second.stamp == stamp_of(state_of(2))
    assert found(second, table) == {1, 2, 4, 5, 6, 7, 8, 9}


def waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let vectors be made only once this is called, which waits until they are."""
    may_go_on = threading.Event()

    def make(*told: Any) -> TowerVectors:
        assert may_go_on.wait(60)
        return TowerVectors(*told)

    def go_on() -> None:
        (thread,) = (one for one in threading.enumerate() if one.name == "towers")
        may_go_on.set()
        thread.join(60)

    monkeypatch.setattr(towers, "TowerVectors", make)
    return go_on
