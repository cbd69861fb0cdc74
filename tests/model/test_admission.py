"""Counting in bounded memory: never too few, and rarely too many."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.model.embedding.admission import MAX_COUNT, FrequencySketch

streams = st.lists(st.lists(st.integers(1, 2**63 - 1) | st.integers(1, 20), max_size=30))


def count(sketch: FrequencySketch, keys: list[int]) -> dict[int, int]:
    distinct, times = np.unique(np.array(keys, dtype=np.int64), return_counts=True)
    return dict(zip(distinct.tolist(), sketch.count(distinct, times).tolist(), strict=True))


@given(streams)
def test_a_count_is_exact_while_keys_are_few(batches: list[list[int]]) -> None:
    sketch, true = FrequencySketch(num_bytes=1 << 20), Counter[int]()
    for batch in batches:
        true.update(batch)
        assert count(sketch, batch) == {key: true[key] for key in batch}


@given(st.lists(st.lists(st.integers(1, 10**6), max_size=60), max_size=4))
def test_a_count_is_never_too_low_however_crowded_the_sketch(batches: list[list[int]]) -> None:
    sketch, true = FrequencySketch(num_bytes=1 << 10), Counter[int]()  # 256 cells a function
    for batch in batches:
        true.update(batch)
        assert all(number >= true[key] for key, number in count(sketch, batch).items())


def test_few_of_many_keys_are_counted_too_high() -> None:
    random = np.random.default_rng(0)
    sketch = FrequencySketch(num_bytes=1 << 20)
    every = np.unique(random.integers(1, 2**63 - 1, 100_000))
    counts = sketch.count(every, np.ones(len(every), dtype=np.int64))
    assert (counts >= 1).all() and (counts > 1).mean() < 0.02


def test_counts_end_at_the_largest() -> None:
    sketch = FrequencySketch(num_bytes=1 << 12)
    assert count(sketch, [5] * 1_000) == {5: MAX_COUNT}
    assert count(sketch, [5]) == {5: MAX_COUNT}


def test_what_was_rare_long_ago_fades() -> None:
    sketch = FrequencySketch(num_bytes=1 << 12)  # 1,024 cells a function
    count(sketch, [7, 7])
    for _ in range(8):
        sketch.count(np.arange(100, 612), np.ones(512, dtype=np.int64))
    assert count(sketch, [7]) == {7: 1}


def test_a_loaded_sketch_counts_on() -> None:
    sketch, loaded = FrequencySketch(num_bytes=1 << 12), FrequencySketch(num_bytes=1 << 10)
    count(sketch, [7, 7, 8])
    loaded.load_state_dict(sketch.state_dict())
    before = loaded.state_dict()
    assert count(sketch, [7, 9]) == count(loaded, [7, 9]) == {7: 3, 9: 1}
    assert count(loaded, [7]) == {7: 4} and before["num_counted"] == 3
    assert sketch.num_bytes == loaded.num_bytes == 1 << 12
