"""Two towers in a small world: they learn what is chosen next, and what new items are like."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.keys import key
from headrace.learning import two_tower_fit
from headrace.learning.two_tower_fit import TwoTowerFit
from headrace.model.batch import Batch, batch_of_samples
from headrace.model.config import nano
from headrace.model.tower_vectors import TowerVectors, stamp_of
from headrace.sample import SEQUENCE_KNOWN, Sample

NOW_MS = 1_714_554_000_000
CONFIG = nano(NUM_DENSE)
KINDS = ("tea", "mug")
NUM_ITEMS, NUM_OLD = 24, 20  # the last four are shown to nobody


def catalogue() -> ItemTable:
    """Items of two kinds in turn, which their titles tell; the item of row n is i<n>."""
    return table_of(Item(f"i{n}", f"a {KINDS[n % 2]} {n}") for n in range(1, NUM_ITEMS + 1))


def history_of(rows: list[int]) -> np.ndarray:
    """The history of a user who chose these, the newest last."""
    history_3T = np.zeros((3, HISTORY_LENGTH), np.int64)
    history_3T[0, : len(rows)] = [key(f"i{row}") for row in reversed(rows)]
    history_3T[2, : len(rows)] = 1
    return history_3T


def sample(number: int, random: np.random.Generator) -> Sample:
    """A request by a user of one kind, who chooses what is of it."""
    kind = number % 2
    past = [row for row in random.permutation(np.arange(1, NUM_OLD + 1)) if row % 2 == kind][:5]
    shown = random.choice(np.arange(1, NUM_OLD + 1), 6, replace=False)
    return Sample(
        source_partition=0,
        source_offset=number,
        sequence=SEQUENCE_KNOWN,
        schema=INPUT_SCHEMA,
        request_id=f"r{number}",
        event_time_ms=NOW_MS + number,
        arrival_ms=NOW_MS + number,
        user_key=number % 50 + 1,
        user_word_keys=(),
        item_keys=tuple(key(f"i{row}") for row in shown),
        outcomes=tuple(int(row % 2 == kind) for row in shown),
        labelled=1,
        dense=np.zeros((6, NUM_DENSE), "<f4").tobytes(),
        history=history_of([int(row) for row in past]).tobytes(),
    )


def batches(content: ContentTable, num: int, seed: int = 0) -> list[Batch]:
    random = np.random.default_rng(seed)
    return [
        batch_of_samples([sample(n, random) for n in range(20 * b, 20 * b + 20)], content, CONFIG)
        for b in range(num)
    ]


@pytest.fixture(scope="module")
def table() -> ItemTable:
    return catalogue()


@pytest.fixture(scope="module")
def learned(table: ItemTable) -> TwoTowerFit:
    content = ContentTable(table)
    fit = TwoTowerFit(content)
    for batch in batches(content, 60):
        fit.learn(batch)
    return fit


def vectors(fit: TwoTowerFit, table: ItemTable) -> TowerVectors:
    return TowerVectors(
        fit.towers.state(with_optimizer=False), ContentTable(table), table.keys(table.rows())
    )


def nearest(of: TowerVectors, table: ItemTable, past: list[int], limit: int) -> list[int]:
    history_3T = history_of(past)
    query = of.of_user(history_3T[0], (history_3T[0] != 0).astype(np.float32), ())
    return table.rows_of_keys(of.index.nearest(query, limit)).tolist()


@pytest.mark.parametrize("kind", [0, 1])
def test_what_is_near_to_a_user_is_what_such_users_choose(
    learned: TwoTowerFit, table: ItemTable, kind: int
) -> None:
    past = [row for row in range(1, 9) if row % 2 == kind]
    rows = nearest(vectors(learned, table), table, past, 10)
    assert sum(row % 2 == kind for row in rows) >= 9


def test_new_items_are_placed_by_their_words(learned: TwoTowerFit) -> None:
    table = catalogue()
    of = vectors(learned, table)
    new = table.put([Item("t", "a tea"), Item("m", "a mug")], NOW_MS)
    of.follow(table.keys(new), table.keys(np.array([2])))
    drinkers = nearest(of, table, [2, 4, 6], 100)
    assert drinkers.index(new[0]) < drinkers.index(new[1]) and 2 not in drinkers


def test_a_state_goes_on_as_if_nothing_had_happened(table: ItemTable) -> None:
    content = ContentTable(table)
    whole, first, second = (TwoTowerFit(content) for _ in range(3))
    made = batches(content, 12, seed=1)
    for batch in made:
        whole.learn(batch)
    for batch in made[:6]:
        first.learn(batch)
    second.load_state(first.state())
    for batch in made[6:]:
        second.learn(batch)
    assert stamp_of(second.towers.state(False)) == stamp_of(whole.towers.state(False))
    assert second.num_choices == whole.num_choices


def test_the_published_state_is_a_new_one_only_when_a_tenth_more_was_learned(
    table: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_tower_fit, "FIRST_CHOICES", 100)
    fit = TwoTowerFit(ContentTable(table))
    stamps = []
    for batch in batches(ContentTable(table), 30):
        assert not fit.weights() or fit.num_choices >= 100
        fit.learn(batch)
        if fit.weights():
            stamps.append(stamp_of(fit.weights()))
    assert len(set(stamps)) == len(list(dict.fromkeys(stamps))) < 25
    assert stamps[0] != stamps[-1]
