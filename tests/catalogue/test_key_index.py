"""The index against a dictionary: any keys, in any order of adding, finding and removing."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.catalogue.table.key_index import MULTIPLIERS, SLOTS_PER_KEY, KeyIndex, Keys

keys = st.one_of(st.integers(1, 40), st.integers(1, 2**63 - 1))
batches = st.lists(st.lists(keys | st.just(0), max_size=30, unique=True), max_size=8)
actions = st.sampled_from(["add", "add", "remove"])


def array(values: list[int]) -> Keys:
    return np.array(values, dtype=np.int64)


def slots(key: int, num_bits: int) -> tuple[int, int]:
    first, second = (key * multiplier % 2**64 >> (64 - num_bits) for multiplier in MULTIPLIERS)
    return first, second


def check_against(index: KeyIndex, rows: dict[int, int]) -> None:
    assert len(index) == len(rows)
    assert index.find(array(list(rows))).tolist() == list(rows.values())
    assert [*map(index.row, rows)] == list(rows.values())
    assert index.rows().tolist() == sorted(rows.values())
    assert index.keys(array(list(rows.values()))).tolist() == list(rows)


@settings(max_examples=100)
@given(st.lists(st.tuples(actions, st.lists(keys | st.just(0), max_size=30, unique=True))))
def test_the_index_is_a_dictionary_that_gives_out_the_lowest_free_rows(
    steps: list[tuple[str, list[int]]],
) -> None:
    index, rows, num_rows = KeyIndex(num_slots=16), dict[int, int](), 1
    for action, batch in steps:
        found = [rows.get(key, 0) for key in batch]
        assert index.find(array(batch)).tolist() == [*map(index.row, batch)] == found
        if action == "remove":
            removed = [rows.pop(key) for key in batch if key in rows]
            assert index.remove(array(batch)).tolist() == removed
        else:
            for key in batch:
                if key and key not in rows:
                    rows[key] = min(set(range(1, len(rows) + 2)) - set(rows.values()))
            assert index.add(array(batch)).tolist() == [rows.get(key, 0) for key in batch]
        num_rows = max(num_rows, *rows.values(), 1) if rows else num_rows
        check_against(index, rows)
    assert index.num_rows <= num_rows + 1


def test_no_two_of_half_a_million_keys_share_a_row() -> None:
    random = np.random.default_rng(0)
    sequential = np.arange(1, 200_001)  # as databases number things
    strided = np.arange(1, 200_001) << 32
    spread = random.integers(1, 2**63 - 1, 200_000)
    every = random.permutation(np.unique(np.concatenate((sequential, strided, spread))))
    index = KeyIndex()
    for part in np.array_split(every, 50):
        index.add(part)
    assert len(index) == len(every) > 550_000
    assert np.array_equal(index.find(every), np.arange(1, len(every) + 1))
    absent = np.setdiff1d(every ^ 1, every)
    assert len(absent) > 150_000 and not index.find(absent).any()


def test_an_index_that_loses_what_it_gains_grows_no_more() -> None:
    index, random = KeyIndex(), np.random.default_rng(0)
    every = np.unique(random.integers(1, 2**63 - 1, 210_000))
    random.shuffle(every)
    index.add(every[:10_000])
    size = index.num_bytes
    for start in range(0, 190_000, 1_000):
        index.remove(every[start : start + 1_000])
        index.add(every[start + 10_000 : start + 11_000])
    assert len(index) == 10_000 and index.num_rows == 10_001
    assert index.num_bytes == size
    assert index.find(every[190_000:200_000]).all() and not index.find(every[:190_000]).any()


@pytest.mark.parametrize("which", [0, 1])
def test_keys_that_want_the_same_slot_all_find_a_place(which: int) -> None:
    crowd = [key for key in range(1, 300_000) if slots(key, 12)[which] == 77]
    assert len(crowd) > 50
    index = KeyIndex(num_slots=1 << 12)
    assert index.add(array(crowd)).tolist() == list(range(1, len(crowd) + 1))
    check_against(index, {key: row for row, key in enumerate(crowd, 1)})


def test_keys_that_want_the_same_two_slots_all_find_a_place() -> None:
    pairs: dict[frozenset[int], list[int]] = {pair: [] for pair in every_pair_of_slots()}
    for key in range(1, 20_000):
        pairs[frozenset(slots(key, 4))].append(key)
    for crowd in pairs.values():
        index, wanted = KeyIndex(num_slots=16), crowd[: 16 // SLOTS_PER_KEY]
        index.add(array(wanted[:1]))
        index.add(array(wanted))
        check_against(index, {key: row for row, key in enumerate(wanted, 1)})


def every_pair_of_slots() -> set[frozenset[int]]:
    return {frozenset(pair) for pair in product(range(16), repeat=2)}


def test_key_zero_is_no_key() -> None:
    index = KeyIndex()
    assert index.add(array([0])).tolist() == [0]
    assert index.add(array([0, 9])).tolist() == [0, 1]
    assert index.find(array([0, 9, 0])).tolist() == [0, 1, 0]
    assert index.remove(array([0])).tolist() == [] and len(index) == 1
    assert index.find(array([])).tolist() == []
